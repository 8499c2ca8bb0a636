package agent

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"weir/dataplane/flow"
	"weir/dataplane/wire"
)

// publishing is a rig that publishes every second, to many nodes.
func publishing(t *testing.T, nodes, flows int) *rig {
	r := newRig(t)
	cfg := config()
	cfg.Publish = time.Second
	cfg.Nodes = nil
	for i := range nodes {
		cfg.Nodes = append(cfg.Nodes, Node{Number: uint16(i + 1), Address: netip.AddrFrom4([4]byte{10, 20, 1, byte(i)}),
			Boot: uint64(1000 + i), Egress: true, Tracker: true, Seed: uint64(i+1) * 0x9e3779b97f4a7c15})
	}
	r.bound, r.socket = flows, SocketLive
	r.core.SetConfig(cfg)
	r.core.Recover(r.now)
	for i := range flows {
		k := tuple
		k.ClientPort, k.Client[15] = uint16(i), byte(i>>16)
		f := Flow{State: Established, LastSeen: r.now, ClientISN: uint32(i), ServerISN: 7, Ingress: uint16(1 + i%nodes)}
		if err := r.Put(&k, &f); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// published opens what was sent to UDP 6082 and returns how often each
// connection was, and how many datagrams each node got.
func (r *rig) published() (flows map[flow.Key]int, nodes map[netip.Addr]int) {
	flows, nodes = map[flow.Key]int{}, map[netip.Addr]int{}
	for _, w := range r.words {
		if w.to.Port() != wire.PortPublish {
			continue
		}
		for _, p := range r.open(w) {
			flows[p.Key]++
		}
		nodes[w.to.Addr()]++
	}
	return flows, nodes
}

func (r *rig) open(w datagram) (out []wire.Publication) {
	var h wire.Header
	d := bytes.Clone(w.d)
	if err := wire.Open(d, &h, r.pairKey(r.self(), r.node(w.to.Addr()))); err != nil || h.Type != wire.MsgPublish || h.Boot != 99 || h.Sender != 7 {
		r.t.Fatalf("a datagram to %s: %v, %+v", w.to, err, h)
	}
	read, err := wire.ReadPublications(d)
	if err != nil {
		r.t.Fatal(err)
	}
	var p wire.Publication
	for read.Next(&p) {
		out = append(out, p)
	}
	return out
}

func TestEveryConnectionIsPublishedOncePerInterval(t *testing.T) {
	for _, flows := range []int{1, 9, 100, 30000} {
		r := publishing(t, 10, flows)
		r.tick(r.now + 3e9) // at the latest now it knows how many there are
		r.words = nil
		const rounds = 5
		r.tick(r.now + rounds*1e9)
		got, nodes := r.published()
		if len(got) != flows {
			t.Errorf("%d of %d connections are published", len(got), flows)
		}
		for k, n := range got {
			if n < rounds-1 || n > rounds+1 {
				t.Fatalf("of %d: %v is published %d times in %d intervals", flows, k, n, rounds)
			}
		}
		if flows > 10000 && len(nodes) != 10 {
			t.Errorf("only %d nodes of 10 get publications", len(nodes))
		}
	}
}

func TestPublishingIsSpreadOverTheInterval(t *testing.T) {
	r := publishing(t, 3, 10000)
	r.tick(r.now + 3e9)
	most := 0
	for range 20 {
		r.words = nil
		r.tick(r.now + 1e8)
		flows, _ := r.published()
		most = max(most, len(flows))
	}
	if most > 2500 || most < 800 {
		t.Errorf("up to %d of 10000 connections are published in a tenth of the interval", most)
	}
}

func TestAStepOfPublishingIsBounded(t *testing.T) {
	r := publishing(t, 3, 100000)
	r.tick(r.now + 4e9)
	for range 50 {
		r.words = nil
		r.now = r.core.Tick(r.now)
		flows, _ := r.published()
		if len(flows) > publishStep {
			t.Fatalf("%d connections in one step", len(flows))
		}
	}
}

func TestWhatIsPublishedOfAConnection(t *testing.T) {
	for name, tc := range map[string]struct {
		state   State
		flags   uint32
		there   bool
		closing bool
	}{
		"established":                 {Established, 0, true, false},
		"the client has ended":        {Established, FlagClientFIN, true, false},
		"half-closed by the server":   {Established, FlagServerFIN, true, false},
		"TIME_WAIT":                   {Established, FlagServerFIN | FlagClientFIN, true, true},
		"reset":                       {Established, FlagReset, true, true},
		"not committed: none, as yet": {Pending, 0, false, false},
	} {
		r := publishing(t, 1, 1)
		f := r.flows[r.order[0]]
		f.State, f.Flags = tc.state, tc.flags
		r.flows[r.order[0]] = f
		r.tick(r.now + 3e9)
		if len(r.words) > 0 != tc.there {
			t.Errorf("%s: %d datagrams", name, len(r.words))
			continue
		}
		for _, w := range r.words {
			want := wire.Publication{Key: r.order[0], ClientISN: 0, ServerISN: 7, Server: 7, Ingress: 1, Closing: tc.closing}
			if got := r.open(w); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %+v, want %+v", name, got, want)
			}
		}
	}
}

func TestAChangeOfNodesPublishesAtOnceWhatItAffectsToTwoNodes(t *testing.T) {
	const gone = 3
	for name, change := range map[string]func(n *Node){
		"a node left":          func(n *Node) { n.Tracker, n.Egress = false, false },
		"a node was restarted": func(n *Node) { n.Boot++ },
	} {
		r := publishing(t, 10, 5000)
		r.tick(r.now + 3e9)
		before := r.core.ring
		cfg := *r.core.cfg
		cfg.Publish = time.Hour // nothing but what is urgent
		cfg.Nodes = append([]Node(nil), cfg.Nodes...)
		change(&cfg.Nodes[gone-1])
		r.core.publisher.next = r.now + 1e12
		r.core.SetConfig(&cfg)
		r.words = nil
		r.tick(r.now + 100e6)
		got, nodes := r.published()
		affected := 0
		for _, k := range r.order {
			p, s := before.Trackers(&k)
			f := r.flows[k]
			want := 0
			if f.Ingress == gone || p == gone || s == gone {
				want = 2
				affected++
			}
			if got[k] != want {
				t.Fatalf("%s: %v, ingress %d, trackers %d and %d, is published %d times, want %d", name, k, f.Ingress, p, s, got[k], want)
			}
		}
		if affected < 500 || affected > 2500 || len(nodes) < 5 {
			t.Errorf("%s: %d connections are affected, %d nodes told", name, affected, len(nodes))
		}
		r.words = nil
		r.tick(r.now + 1e9)
		if len(r.words) > 0 {
			t.Errorf("%s: the publication at once does not end", name)
		}
	}
}

func TestTheTwoCopiesGoToTwoNodes(t *testing.T) {
	r := publishing(t, 2, 1)
	r.core.publisher.next = 1e15
	cfg := *r.core.cfg
	cfg.Nodes = append([]Node(nil), cfg.Nodes...)
	cfg.Nodes[0].Boot++
	r.core.SetConfig(&cfg)
	r.tick(r.now + 100e6)
	if _, nodes := r.published(); len(nodes) != 2 {
		t.Errorf("%d nodes are told", len(nodes))
	}
}

func TestNothingIsPublishedToANodeWhoseBootIsNotKnown(t *testing.T) {
	r := publishing(t, 2, 3)
	cfg := *r.core.cfg
	cfg.Nodes = append([]Node(nil), cfg.Nodes...)
	cfg.Nodes[0].Boot = 0
	r.core.SetConfig(&cfg)
	r.words = nil
	r.tick(r.now + 5e9)
	if _, nodes := r.published(); len(nodes) != 1 || nodes[cfg.Nodes[1].Address] == 0 {
		t.Errorf("told: %v", nodes)
	}
}

func TestSequenceNumbersRiseOverARestartOfTheAgent(t *testing.T) {
	r := publishing(t, 3, 1000)
	r.tick(r.now + 10e9)
	last := r.core.seq
	again := New(r.core.cfg, r, r, r, r)
	again.Recover(r.now)
	if again.seq < last {
		t.Errorf("the number is %d after a restart, was %d", again.seq, last)
	}
}

func TestPublishingCostsNoAllocation(t *testing.T) {
	r := publishing(t, 5, 1)
	k, f := r.order[0], r.flows[r.order[0]]
	silent := *r.core
	silent.out = mute{r}
	if n := testing.AllocsPerRun(100, func() {
		for range 200 {
			silent.publishFlow(&k, &f, 1)
		}
		silent.sendPublications(1)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// mute sends nothing.
type mute struct{ *rig }

func (mute) Send(uint16, netip.AddrPort, []byte) {}

func BenchmarkPublish(b *testing.B) {
	r := &rig{t: &testing.T{}, now: 1e9, flows: map[flow.Key]Flow{}}
	r.core = New(config(), mute{r}, r, r, r)
	r.core.Recover(r.now)
	k, f := tuple, Flow{State: Established, ClientISN: 1, ServerISN: 7}
	for b.Loop() {
		r.core.publishFlow(&k, &f, 1)
	}
}
