package hashring

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"weir/dataplane/flow"
)

var seed = flow.Seed{0x1234567890abcdef, 0xfedcba0987654321}

func members(n int) []Member {
	r := rand.New(rand.NewPCG(1, 2))
	m := make([]Member, n)
	for i := range m {
		m[i] = Member{Number: uint16(i), Seed: r.Uint64()}
	}
	return m
}

func key(i int) *flow.Key {
	k := &flow.Key{ClientPort: uint16(i), VIPPort: 80, Proto: 6}
	k.SetIPv4([4]byte{198, 51, 100, 1}, [4]byte{203, 0, 113, 10})
	binary.BigEndian.PutUint32(k.Client[12:], uint32(i))
	return k
}

func TestPrimaryAndSecondaryAreNeverTheSameNode(t *testing.T) {
	for n := 2; n <= 5; n++ {
		r := New(members(n), seed)
		for i := range 10000 {
			if p, s := r.Trackers(key(i)); p == s || p == None || s == None {
				t.Fatalf("%d nodes, flow %d: primary %d, secondary %d", n, i, p, s)
			}
		}
	}
}

func TestLoneNodeHasNoSecondaryAndAnEmptyRingNoPrimary(t *testing.T) {
	if p, s := New(members(1), seed).Trackers(key(1)); p != 0 || s != None {
		t.Errorf("lone node: primary %d, secondary %d", p, s)
	}
	if p, s := New(nil, seed).Trackers(key(1)); p != None || s != None {
		t.Errorf("empty ring: primary %d, secondary %d", p, s)
	}
}

func TestRemovingANodeMovesOnlyItsFlowsAndPromotesTheSecondary(t *testing.T) {
	all := members(7)
	before := New(all, seed)
	for gone := range all {
		after := New(append(append([]Member(nil), all[:gone]...), all[gone+1:]...), seed)
		for i := range 5000 {
			p, s := before.Trackers(key(i))
			p2, s2 := after.Trackers(key(i))
			switch uint16(gone) {
			case p:
				if p2 != s {
					t.Fatalf("flow %d: primary %d died, secondary %d, new primary %d", i, p, s, p2)
				}
			case s:
				if p2 != p {
					t.Fatalf("flow %d: secondary died and the primary moved from %d to %d", i, p, p2)
				}
			default:
				if p2 != p || s2 != s {
					t.Fatalf("flow %d moved although neither of its trackers left", i)
				}
			}
		}
	}
}

func TestAddingANodeDemotesThePrimaryOrLeavesIt(t *testing.T) {
	all := members(8)
	before, after := New(all[:7], seed), New(all, seed)
	for i := range 20000 {
		p, _ := before.Trackers(key(i))
		p2, s2 := after.Trackers(key(i))
		if p2 != p && (p2 != 7 || s2 != p) {
			t.Fatalf("flow %d: primary %d became %d with secondary %d", i, p, p2, s2)
		}
	}
}

func TestSharesAreEvenWithinFivePercentAtOneHundredNodes(t *testing.T) {
	const flows = 1_000_000
	r := New(members(100), seed)
	var primary, secondary [100]int
	for i := range flows {
		p, s := r.Trackers(key(i))
		primary[p]++
		secondary[s]++
	}
	for n := range primary {
		for role, c := range map[string]int{"primary": primary[n], "secondary": secondary[n]} {
			if d := math.Abs(float64(c)/(flows/100) - 1); d > 0.05 {
				t.Errorf("node %d is %s of %d flows, %.1f %% off", n, role, c, 100*d)
			}
		}
	}
}

func TestRankOrdersEveryCandidateOnceAndWraps(t *testing.T) {
	c := []Candidate{{1, 100, 11}, {2, 100, 22}, {3, 100, 33}, {4, 100, 44}}
	scores := make([]float64, len(c))
	for i := range 1000 {
		seen := map[uint16]bool{}
		for n := range c {
			s, ok := Rank(key(i), 1, 2, seed, c, n, scores)
			if !ok || seen[s] {
				t.Fatalf("flow %d: server %d stands twice in the order", i, s)
			}
			seen[s] = true
			if again, _ := Rank(key(i), 1, 2, seed, c, n+len(c), scores); again != s {
				t.Fatalf("flow %d: place %d is %d, place %d is %d", i, n, s, n+len(c), again)
			}
		}
	}
	if _, ok := Rank(key(1), 1, 2, seed, nil, 0, nil); ok {
		t.Error("no candidates, and one was chosen")
	}
}

func TestFirstPlaceFollowsTheWeights(t *testing.T) {
	c := []Candidate{{1, 100, 11}, {2, 200, 22}, {3, 0, 33}, {4, 300, 44}}
	scores := make([]float64, len(c))
	var got [5]int
	const flows = 120_000
	for i := range flows {
		s, _ := Rank(key(i), uint32(i), 7, seed, c, 0, scores)
		got[s]++
	}
	for _, s := range c {
		want := float64(s.Weight) / 600 * flows
		if math.Abs(float64(got[s.Number])-want) > 0.02*flows/2 {
			t.Errorf("server %d of weight %d was first %d times, want about %.0f", s.Number, s.Weight, got[s.Number], want)
		}
	}
}

func TestTrackersAndRankAllocateNothing(t *testing.T) {
	r, k := New(members(10), seed), key(3)
	c := []Candidate{{1, 100, 11}, {2, 200, 22}}
	scores := make([]float64, len(c))
	if n := testing.AllocsPerRun(100, func() {
		r.Trackers(k)
		Rank(k, 1, 2, seed, c, 1, scores)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTrackers100Nodes(b *testing.B) {
	r, k := New(members(100), seed), key(3)
	for b.Loop() {
		r.Trackers(k)
	}
}
