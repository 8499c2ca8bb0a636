package trial

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// must makes a change that fits.
func must(t *testing.T, r Record, err error) Record {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fresh is the record of a node that has booted slot a for the first time.
func fresh(t *testing.T) Record {
	t.Helper()
	r, d := Decide(Record{}, false, Boot{Running: A, Version: "1.0"}, now)
	if d.Do != Serve || d.Prefer != A || r.Committed != A || r.Image(A).Status != Good {
		t.Fatalf("the first boot: %+v, %+v", r, d)
	}
	return r
}

// armed has version 2.0 in slot b, to be tried at the next boot.
func armed(t *testing.T) Record {
	t.Helper()
	r, err := fresh(t).Begin(A, "2.0", now)
	r = must(t, r, err)
	r, err = r.Wrote([32]byte{1}, now)
	r = must(t, r, err)
	r, err = r.Arm(7, time.Minute, now)
	return must(t, r, err)
}

func TestAnUpgradeThatProvesGoodIsCommitted(t *testing.T) {
	r, d := Decide(armed(t), true, Boot{Running: B, Version: "2.0", Started: Begun}, now)
	if d.Do != Prove || !d.MayGoBack || d.Prefer != A || r.Boots != 1 {
		t.Fatalf("the trial: %+v, %+v", r, d)
	}
	r, err := r.Commit(now)
	r = must(t, r, err)
	if r.Committed != B || r.State != Committed || r.Image(A).Status != Good || r.Image(B).Status != Good {
		t.Errorf("committed: %+v", r)
	}
	if r, d = Decide(r, true, Boot{Running: B, Version: "2.0"}, now); d.Do != Serve || d.Prefer != B || d.Say != "" {
		t.Errorf("the boot after it: %+v, %+v", r, d)
	}
}

func TestAnUpgradeThatFailsIsRolledBackWithTheReason(t *testing.T) {
	started := armed(t)
	started.Boots = 1
	for _, c := range []struct {
		name string
		r    Record
		boot Boot
		want string
	}{
		{"reset while watched", started, Boot{Running: A, Started: Begun}, "version 2.0 in slot b started, and the machine was reset before its health was decided"},
		{"kernel hangs", armed(t), Boot{Running: A, Started: Begun}, "was started and not heard of again: its kernel or its init stopped, it hung and was reset, or it cannot run updated"},
		{"not an image", armed(t), Boot{Running: A, Started: Begun, Failed: B, Why: "Load Error"}, "could not be started: Load Error"},
		{"variables lost", armed(t), Boot{Running: A, Started: NotBegun}, "the firmware has lost or ignored the boot variables"},
		{"no variables", armed(t), Boot{Running: A}, "did not come up"},
	} {
		r, d := Decide(c.r, true, c.boot, now)
		if r.State != RolledBack || r.Committed != A || r.Image(B).Status != Bad || d.Do != Serve || d.Prefer != A {
			t.Errorf("%s: %+v, %+v", c.name, r, d)
		}
		if !strings.HasSuffix(r.Reason, c.want) || d.Say != r.Reason {
			t.Errorf("%s: the reason is %q, want …%q", c.name, r.Reason, c.want)
		}
		if again, d := Decide(r, true, Boot{Running: A}, now); again.State != RolledBack || d.Do != Serve || d.Say != "" {
			t.Errorf("%s: the next boot: %+v, %+v", c.name, again, d)
		}
	}
}

func TestTheGateRollsBack(t *testing.T) {
	r, _ := Decide(armed(t), true, Boot{Running: B}, now)
	r, err := r.RollBack("the control plane cannot be reached", now)
	r = must(t, r, err)
	if r.State != RolledBack || r.Reason != "the control plane cannot be reached" || r.Committed != A {
		t.Errorf("got %+v", r)
	}
	// The firmware starts the slot once more, whatever the boot order says.
	if _, d := Decide(r, true, Boot{Running: B}, now); d.Do != Serve || d.Prefer != A || !strings.Contains(d.Say, "though slot a is committed") {
		t.Errorf("got %+v", d)
	}
}

func TestATrialThatCannotGoBackStays(t *testing.T) {
	r := armed(t)
	for range MaxBoots {
		var d Decision
		if r, d = Decide(r, true, Boot{Running: B}, now); d.Do != Prove || !d.MayGoBack {
			t.Fatalf("boot %d: %+v", r.Boots, d)
		}
	}
	if r, d := Decide(r, true, Boot{Running: B}, now); d.Do != Prove || d.MayGoBack || !strings.Contains(d.Say, "slot a does not start") {
		t.Errorf("boot %d: %+v", r.Boots, d)
	}
}

func TestAnInterruptedWriteIsForgotten(t *testing.T) {
	r, err := fresh(t).Begin(A, "2.0", now)
	r = must(t, r, err)
	r, d := Decide(r, true, Boot{Running: A}, now)
	if r.State != Idle || r.Image(B).Status != Empty || d.Do != Serve || d.Say != "writing version 2.0 into slot b was interrupted" {
		t.Errorf("got %+v, %+v", r, d)
	}
	if _, err := r.Arm(1, 0, now); !errors.Is(err, ErrState) {
		t.Errorf("half a slot is tried: %v", err)
	}
}

func TestTheRunningSlotIsNeverTheOneToBeWritten(t *testing.T) {
	if _, err := fresh(t).Begin(None, "2.0", now); !errors.Is(err, ErrState) {
		t.Errorf("the running slot is not known: %v", err)
	}
	if _, err := armed(t).Begin(A, "3.0", now); !errors.Is(err, ErrState) {
		t.Errorf("during a trial: %v", err)
	}
	// The committed slot does not start any more: it is the one to be mended.
	r, err := fresh(t).Begin(B, "2.0", now)
	if r = must(t, r, err); r.Trial != A || r.Committed != B {
		t.Errorf("got %+v", r)
	}
	for _, version := range []string{"", strings.Repeat("1", MaxVersion+1)} {
		if _, err := fresh(t).Begin(A, version, now); err == nil {
			t.Errorf("version %q is taken", version)
		}
	}
}

func TestAnOperatorGoesBackOrTriesAgain(t *testing.T) {
	r, err := armed(t).Commit(now)
	r = must(t, r, err)
	r, err = r.Arm(8, 0, now) // back to the version of before, without writing it
	if r = must(t, r, err); r.Trial != A || r.Committed != B {
		t.Errorf("got %+v", r)
	}
	r, err = r.Disarm(now)
	if r = must(t, r, err); r.State != Written {
		t.Errorf("got %+v", r)
	}
	r, err = armed(t).RollBack("x", now)
	r = must(t, r, err)
	r, err = r.Arm(9, 0, now)
	if r = must(t, r, err); r.Tries != 2 || r.Reason != "" {
		t.Errorf("got %+v", r)
	}
}

func TestChangesThatDoNotFitAreRefused(t *testing.T) {
	r := fresh(t)
	for name, f := range map[string]func() (Record, error){
		"wrote":     func() (Record, error) { return r.Wrote([32]byte{}, now) },
		"abandon":   func() (Record, error) { return r.Abandon("x", now) },
		"commit":    func() (Record, error) { return r.Commit(now) },
		"roll back": func() (Record, error) { return r.RollBack("x", now) },
		"disarm":    func() (Record, error) { return r.Disarm(now) },
		"arm":       func() (Record, error) { return r.Arm(1, 0, now) },
		"arm twice": func() (Record, error) { return armed(t).Arm(1, 0, now) },
		"no record": func() (Record, error) { return Record{}.Arm(1, 0, now) },
	} {
		if _, err := f(); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestANodeThatDidNotBootFromASlotChangesNothing(t *testing.T) {
	r := armed(t)
	if got, d := Decide(r, true, Boot{}, now); got != r || d != (Decision{}) {
		t.Errorf("got %+v, %+v", got, d)
	}
}

func TestAServerHandsATrialOutOnce(t *testing.T) {
	s, r := fresh(t).Handout(now)
	if s != A {
		t.Errorf("every day: slot %v", s)
	}
	if s, r = armed(t).Handout(now); s != B || r.State != Tried {
		t.Errorf("the trial: slot %v, %+v", s, r)
	}
	if good, err := r.Commit(now); err != nil || good.Committed != B {
		t.Errorf("a machine that proves good: %+v, %v", good, err)
	}
	if s, r = r.Handout(now); s != A || r.State != RolledBack || r.Reason == "" {
		t.Errorf("after a reset: slot %v, %+v", s, r)
	}
}
