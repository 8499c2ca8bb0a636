package trial

import (
	"math/rand/v2"
	"testing"
)

// boot asks for the next version as a machine does, and loads it.
func boot(s *State, wanted string) string {
	v, next := s.Next(wanted)
	*s = next.Taken(v)
	return v
}

func TestAGoodVersionIsCommitted(t *testing.T) {
	var s State
	if v := boot(&s, "1"); v != "1" {
		t.Fatal(v)
	}
	s = s.Good("1")
	if v := boot(&s, "2"); v != "2" {
		t.Fatal(v)
	}
	s = s.Good("2")
	if v := boot(&s, "2"); v != "2" || s != (State{Committed: "2"}) {
		t.Errorf("%s, %+v", v, s)
	}
}

func TestAMachineThatWasApprovedWhileItRanCommitsWhatItRuns(t *testing.T) {
	if s := (State{}).Good("1"); s != (State{Committed: "1"}) {
		t.Errorf("%+v", s)
	}
}

func TestAVersionThatNeverReportsIsTriedOnce(t *testing.T) {
	s := State{Committed: "1"}
	for i, want := range []string{"2", "1", "1", "1"} {
		if v := boot(&s, "2"); v != want {
			t.Errorf("boot %d: %s, want %s", i, v, want)
		}
	}
	if s.Failed != SilentFailure || s.Committed != "1" {
		t.Errorf("%+v", s)
	}
	s = s.Good("2") // too late, whoever says it
	if s.Committed != "1" {
		t.Errorf("%+v", s)
	}
	s = s.Good("1").Bad("2", "no router") // the machine found out why
	if s.Failed != "no router" || s.Committed != "1" {
		t.Errorf("%+v", s)
	}
	if v := boot(&s, "3"); v != "3" || s.Failed != "" {
		t.Errorf("another version has a trial of its own: %s, %+v", v, s)
	}
}

func TestAskingTwiceInOneBootSpendsNothing(t *testing.T) {
	s := State{Committed: "1"}
	for range 3 {
		v, next := s.Next("2")
		if s = next; v != "2" || s.Offered {
			t.Errorf("%s, %+v", v, s)
		}
	}
}

func TestABadWordEndsTheTrialAtOnce(t *testing.T) {
	s := State{Committed: "1"}
	boot(&s, "2")
	s = s.Bad("2", "dataplane crashes")
	if v := boot(&s, "2"); v != "1" || s.Failed != "dataplane crashes" {
		t.Errorf("%s, %+v", v, s)
	}
	if v := boot(&s, "1"); v != "1" || s != (State{Committed: "1"}) {
		t.Errorf("giving up is forgotten when nobody wants it: %s, %+v", v, s)
	}
}

func TestAMachineWithoutAnyGoodVersionGetsWhatThereIs(t *testing.T) {
	var s State
	for range 3 {
		if v := boot(&s, "1"); v != "1" {
			t.Fatal(v)
		}
	}
	s = s.Bad("1", "no router")
	if v := boot(&s, "1"); v != "1" {
		t.Error(v)
	}
}

// Whatever happens, a machine boots the version that was committed last or the
// one that is wanted, the latter once at most unless it was well.
func TestNoSequenceLeadsAwayFromTheGoodVersion(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		s, good, tries := State{Committed: "1"}, "1", map[string]int{}
		wanted := "2"
		for range 50 {
			switch r.IntN(4) {
			case 0:
				wanted = string(rune('1' + r.IntN(3)))
				clear(tries)
			case 1:
				if s.Trial != "" && s.Offered && s.Failed == "" {
					good = s.Trial
					clear(tries)
				}
				s = s.Good(s.Trial)
			case 2:
				s = s.Bad(s.Trial, "bad")
			}
			v := boot(&s, wanted)
			if v != good && v != wanted || s.Committed != good {
				t.Fatalf("seed %d: boots %s, good is %s, wanted %s, %+v", seed, v, good, wanted, s)
			}
			if v != good {
				if tries[v]++; tries[v] > 1 {
					t.Fatalf("seed %d: %s was tried %d times", seed, v, tries[v])
				}
			}
		}
	}
}
