package upgrade

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"weir/firmware/slots"
	"weir/firmware/trial"
)

func TestAGoodVersionIsInstalledTriedAndCommitted(t *testing.T) {
	m := newMachine(t)
	r := m.upgrade(true)
	if r.State != trial.Committed || r.Committed != trial.B {
		t.Errorf("got %+v", r)
	}
	if n, version := m.boot(); n.Running() != trial.B || version != "2.0" {
		t.Errorf("the next boot: slot %v, %s", n.Running(), version)
	}
	clear(m.vars)
	if n, version := m.boot(); n.Running() != trial.B || version != "2.0" {
		t.Errorf("without variables: slot %v, %s", n.Running(), version)
	}
}

func TestASickVersionGoesBack(t *testing.T) {
	m := newMachine(t)
	r := m.upgrade(false)
	if r.State != trial.RolledBack || r.Committed != trial.A || r.Reason != "it is sick" {
		t.Errorf("got %+v", r)
	}
	clear(m.vars)
	if n, version := m.boot(); n.Running() != trial.A || version != "1.0" {
		t.Errorf("without variables: slot %v, %s", n.Running(), version)
	}
}

func TestAVersionThatHangsGoesBackByItself(t *testing.T) {
	m := newMachine(t)
	n, _ := m.boot()
	if _, _, err := n.AtBoot("1.0"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(n.Install(context.Background(), "2.0", content("2.0")), n.Try(77, time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, _ = m.boot(); n.Running() != trial.B {
		t.Fatalf("the trial is in slot %v", n.Running())
	}
	n, _ = m.boot() // the watchdog
	r, d, err := n.AtBoot("1.0")
	if err != nil || n.Running() != trial.A || r.State != trial.RolledBack || d.Do != trial.Serve {
		t.Errorf("slot %v, %+v, %+v, %v", n.Running(), r, d, err)
	}
	if want := "was started and not heard of again"; !strings.Contains(r.Reason, want) {
		t.Errorf("the reason is %q, want …%s…", r.Reason, want)
	}
}

// Every moment at which something was changed, with and without boot variables
// afterwards: the node boots, and the upgrade can be ended.
func TestAPowerCutAtEveryChangeLeavesANodeThatBoots(t *testing.T) {
	for _, good := range []bool{true, false} {
		whole := newMachine(t)
		whole.upgrade(good)
		for _, wiped := range []bool{false, true} {
			for at := range whole.changes {
				m := newMachine(t)
				m.left, m.wiped = at, wiped
				r := m.upgrade(good)
				want := trial.A
				if good {
					want = trial.B
				}
				if n, _ := m.boot(); r.Committed != want || n.Running() != want {
					t.Errorf("power fails at change %d of %d (variables wiped: %v): slot %v is committed, slot %v runs, want %v", at, whole.changes, wiped, r.Committed, n.Running(), want)
				}
			}
		}
		t.Logf("%d changes in an upgrade", whole.changes)
	}
}

func TestWhatDoesNotFitChangesNothing(t *testing.T) {
	m := newMachine(t)
	n, _ := m.boot()
	if _, _, err := n.AtBoot("1.0"); err != nil {
		t.Fatal(err)
	}
	before := m.changes
	if err := n.Install(context.Background(), "2.0", slots.Image{Size: 1000}); !errors.Is(err, slots.ErrTooSmall) {
		t.Errorf("got %v", err)
	}
	if m.changes != before {
		t.Error("something was changed")
	}
}

func TestAMachineWithoutVariablesTriesNothing(t *testing.T) {
	m := newMachine(t)
	n, _ := m.boot()
	n.vars, n.noVars = nil, errors.New("no firmware variables")
	r, d, err := n.AtBoot("1.0")
	if err == nil || r.Committed != trial.A || d.Do != trial.Serve {
		t.Errorf("%+v, %+v, %v", r, d, err)
	}
	if err := n.Install(context.Background(), "2.0", content("2.0")); err != nil {
		t.Error(err)
	}
	if err := n.Try(1, time.Minute); err == nil || !strings.Contains(err.Error(), "no firmware variables") {
		t.Errorf("got %v", err)
	}
	if r, err := n.Record(); err != nil || r.State != trial.Written {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestATrialThatWasOrderedCanBeTakenBack(t *testing.T) {
	m := newMachine(t)
	n, _ := m.boot()
	_, _, err := n.AtBoot("1.0")
	err = errors.Join(err, n.Install(context.Background(), "2.0", content("2.0")), n.Try(1, time.Minute), n.Cancel())
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := m.boot(); n.Running() != trial.A {
		t.Errorf("slot %v runs", n.Running())
	}
	if r, _ := n.Record(); r.State != trial.Written {
		t.Errorf("%+v", r)
	}
}

func TestFirmwareAndStubThatDisagreeAreNotBelieved(t *testing.T) {
	m := newMachine(t)
	n, _ := m.boot()
	if _, _, err := n.AtBoot("1.0"); err != nil {
		t.Fatal(err)
	}
	n, _ = m.boot()
	if err := n.compare(); err != nil {
		t.Errorf("they agree: %v", err)
	}
	n.running = trial.B
	if err := n.compare(); err == nil {
		t.Error("they disagree")
	}
}

func TestKexecStartsATrialAndFirmwareStartsWhatDoesNotComeUp(t *testing.T) {
	for name, up := range map[string]bool{"it comes to user space": true, "it does not": false} {
		m := newMachine(t)
		n, _ := m.boot()
		_, _, err := n.AtBoot("1.0")
		if err := errors.Join(err, n.Install(context.Background(), "2.0", content("2.0"))); err != nil {
			t.Fatal(err)
		}
		if err := n.Load(); !errors.Is(err, trial.ErrState) {
			t.Errorf("before a trial was ordered: %v", err)
		}
		if err := errors.Join(n.Try(77, time.Minute), n.Load()); err != nil {
			t.Fatal(err)
		}
		if m.loaded != "2.0 weir.kexec=b" {
			t.Fatalf("kexec starts %q", m.loaded)
		}
		if up {
			n = m.node(trial.B)
			n.byKexec = true // the firmware's variables are those of the start of slot a
		} else if n, _ = m.boot(); n.Running() != trial.B {
			t.Fatalf("%s: slot %v is started by the firmware", name, n.Running())
		}
		if _, d, err := n.AtBoot("2.0"); err != nil || d.Do != trial.Prove {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
		if n, _ = m.boot(); n.Running() != trial.A {
			t.Errorf("%s: after a reset in its trial slot %v runs", name, n.Running())
		}
	}
}

func TestUnderSecureBootOnlyTheFirmwareStartsAVersion(t *testing.T) {
	m := newMachine(t)
	m.vars["SecureBoot"+global] = []byte{1}
	n, _ := m.boot()
	_, _, err := n.AtBoot("1.0")
	if err := errors.Join(err, n.Install(context.Background(), "2.0", content("2.0")), n.Try(77, time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := n.Load(); err == nil || !strings.Contains(err.Error(), "Secure Boot is on") || m.loaded != "" {
		t.Errorf("%v, kexec starts %q", err, m.loaded)
	}
}
