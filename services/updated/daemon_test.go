package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/firmware/release"
	"weir/firmware/slots"
	"weir/firmware/trial"
	"weir/services/api"
)

func TestAGoodVersionIsInstalledTriedAndCommitted(t *testing.T) {
	for name, bundle := range map[string]bool{"from the repository": false, "from a bundle": true} {
		p := newPlace(t)
		p.repo.Release("1.1.0", "")
		path := ""
		if bundle {
			path = p.repo.Bundle("1.1.0")
		}
		got, err := p.install("1.1.0", path, true)
		if err != nil || got.GetPhase() != "done" || p.rec.State != trial.Tried || p.rec.Trial != trial.B || !strings.HasPrefix(string(p.wrote), release.Unified+" 1.1.0") {
			t.Fatalf("%s: %v, %v, %+v", name, got, err, p.rec)
		}
		p.turns(2)
		if p.restarts != 1 {
			t.Fatalf("%s: %d restarts", name, p.restarts)
		}
		p.reboot(trial.B, "1.1.0")
		p.turns(5)
		if s := p.status(); s.Trial == nil || s.Trial.HeldSeconds != 4 || s.Trial.HoldSeconds != 10 || s.State != "tried" || s.Target != "1.1.0" {
			t.Fatalf("%s: %v", name, s)
		}
		p.turns(10)
		s := p.status()
		if p.rec.State != trial.Committed || p.rec.Committed != trial.B || s.Trial != nil || s.Job != nil || s.State != "committed" || p.restarts != 1 {
			t.Errorf("%s: %+v, %v, %d restarts", name, p.rec, s, p.restarts)
		}
	}
}

func TestKexecIsUsedWhereItIsWantedAndPossible(t *testing.T) {
	for name, c := range map[string]struct {
		option     string
		unloadable error
		want       string
	}{
		"wanted":       {"  kexec: true\n", nil, "kexec"},
		"not possible": {"  kexec: true\n", errors.New("Secure Boot is on"), "reboot"},
		"not wanted":   {"", nil, "reboot"},
	} {
		p := newPlace(t)
		p.configure(c.option)
		p.unloadable = c.unloadable
		p.repo.Release("1.1.0", "")
		if _, err := p.install("1.1.0", "", true); err != nil {
			t.Fatal(err)
		}
		p.turns(2)
		if p.restarts != 1 || p.how != c.want {
			t.Errorf("%s: %d restarts, the last by %q", name, p.restarts, p.how)
		}
		p.reboot(trial.B, "1.1.0")
		p.silent = errors.New("gone")
		p.turns(70)
		if p.rec.State != trial.RolledBack || p.how != "reboot" {
			t.Errorf("%s: %v, and back by %q", name, p.rec.State, p.how)
		}
	}
}

func TestASickVersionGoesBackWithItsReason(t *testing.T) {
	for name, harm := range map[string]func(*place){
		"no router is reached: 10.10.0.1 is idle": func(p *place) {
			p.node.Bgp = []*api.BgpSession{{Peer: "10.10.0.1", State: "idle", Reason: "no route"}}
		},
		"noded does not answer: boot phase configuration failed: line 3": func(p *place) {
			p.silent = errors.New("boot phase configuration failed: line 3")
		},
	} {
		p := newPlace(t)
		p.turns(1)
		p.rec, _ = p.rec.Begin(trial.A, "1.1.0", time.Time{})
		p.rec, _ = p.rec.Wrote([32]byte{1}, time.Time{})
		p.rec, _ = p.rec.Arm(7, time.Minute, time.Time{})
		p.reboot(trial.B, "1.1.0")
		harm(p)
		if p.silent != nil { // that version knows of the configuration what the one before has left
			os.Remove(p.daemon.settings.path)
		}
		p.turns(59)
		if p.rec.State != trial.Tried || p.restarts != 0 {
			t.Fatalf("%s: too early: %+v", name, p.rec)
		}
		p.turns(3)
		if p.rec.State != trial.RolledBack || !strings.Contains(p.rec.Reason, name) || !strings.HasPrefix(p.rec.Reason, "version 1.1.0 is not well: ") || p.restarts != 1 {
			t.Errorf("%s: %d restarts, %+v", name, p.restarts, p.rec)
		}
		p.reboot(trial.A, "1.0.0")
		p.turns(3)
		if s := p.status(); s.State != "rolled back" || !strings.Contains(s.Reason, name) || s.Slot != "a" || p.restarts != 1 {
			t.Errorf("%s: %v", name, s)
		}
	}
}

func TestASickVersionRestartsAlsoIfItsRecordCannotBeWritten(t *testing.T) {
	p := newPlace(t)
	p.turns(1)
	p.rec, _ = p.rec.Begin(trial.A, "1.1.0", time.Time{})
	p.rec, _ = p.rec.Wrote([32]byte{1}, time.Time{})
	p.rec, _ = p.rec.Arm(7, time.Minute, time.Time{})
	p.reboot(trial.B, "1.1.0")
	p.silent, p.fakeNode.failed = errors.New("gone"), errors.New("the disk is gone")
	p.turns(62)
	if s := p.status(); p.restarts != 1 || !strings.Contains(s.Fault, "the disk is gone") {
		t.Errorf("%d restarts, %v", p.restarts, s)
	}
}

func TestAJobOutlivesRestartsAndPauses(t *testing.T) {
	p := newPlace(t)
	p.repo.Release("1.1.0", "")
	p.hold = make(chan struct{})
	p.turns(1)
	if _, err := p.accept(&api.UpdateInstallRequest{Version: "1.1.0", Try: true}); err != nil {
		t.Fatal(err)
	}
	working := make(chan struct{})
	go func() { defer close(working); p.turn(context.Background()) }()
	until(t, "the download begins", func() bool { return p.status().Job.GetPhase() == "downloads" })
	if _, err := (server{daemon: p.daemon}).Try(t.Context(), nil); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("try meanwhile: %v", err)
	}
	if _, err := (server{daemon: p.daemon}).Pause(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	<-working
	p.reboot(trial.A, "1.0.0")
	p.turns(3)
	if s := p.status(); !s.Paused || s.Job.GetPhase() != "paused" || p.rec.State != trial.Idle {
		t.Fatalf("%v", s)
	}
	if _, err := p.accept(&api.UpdateInstallRequest{Version: "1.0.0"}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("another one: %v", err)
	}
	p.holding.Lock()
	p.hold = nil
	p.holding.Unlock()
	if _, err := (server{daemon: p.daemon}).Resume(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	p.turns(1)
	p.start() // in between
	p.turns(3)
	if p.rec.State != trial.Tried || p.restarts == 0 {
		t.Errorf("%+v, %v", p.rec, p.status())
	}
	p.reboot(trial.B, "1.1.0")
	p.turns(20)
	if s := p.status(); s.State != "committed" || s.Job != nil {
		t.Errorf("%v", s)
	}
}

func TestAnUnreachableRepositoryIsTriedAgainAndARefusalIsNot(t *testing.T) {
	p := newPlace(t)
	p.repo.Release("1.1.0", "")
	url := p.web.URL
	p.web.URL = "http://127.0.0.1:1"
	p.configure("#")
	got, err := p.install("1.1.0", "", false)
	if err != nil || got.Phase != "waits" || got.Error == "" {
		t.Fatalf("%v, %v", got, err)
	}
	p.web.URL = url
	p.configure("##")
	p.turns(10)
	if s := p.status(); s.State != "written" || s.LastJob.GetPhase() != "done" || p.restarts != 0 {
		t.Errorf("%v", s)
	}
	if got, err := p.install("3.0.0", "", false); err != nil || got.Phase != "failed" || got.Refusal != "missing" {
		t.Errorf("%v, %v", got, err)
	}
	p.write("root.json", "")
	if got, err := p.install("1.1.0", "", false); err != nil || got.Refusal != "no-trusted-root" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestTheScheduleBringsANewVersionAndTriesNothing(t *testing.T) {
	p := newPlace(t)
	p.configure("  interval: 1h\n")
	p.turns(1)
	if s := p.status(); s.NextCheckSeconds < 1700 || s.NextCheckSeconds > 1800 {
		t.Errorf("the first look is in %v s", s.NextCheckSeconds)
	}
	p.repo.Release("1.1.0", "")
	p.up += 30 * time.Minute
	p.turns(3)
	s := p.status()
	there, _ := os.ReadDir(p.path("download"))
	if s.Checked.GetNewest() != "1.1.0" || len(there) != 1 || s.State != "idle" || s.LastJob.GetPhase() != "done" || p.restarts != 0 {
		t.Errorf("%v, %v", s, there)
	}
}

func TestAnOperatorGoesBack(t *testing.T) {
	p := newPlace(t)
	calls := func() server { return server{daemon: p.daemon} }
	p.repo.Release("1.1.0", "")
	if _, err := p.install("1.1.0", "", false); err != nil {
		t.Fatal(err)
	}
	if _, err := calls().RollBack(t.Context(), &api.UpdateRollBackRequest{}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("to a version that never ran: %v", err)
	}
	if _, err := calls().Try(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := calls().RollBack(t.Context(), &api.UpdateRollBackRequest{}); err != nil || p.rec.State != trial.Written {
		t.Fatalf("before the restart: %v, %v", err, p.rec.State)
	}
	if _, err := calls().Try(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	p.reboot(trial.B, "1.1.0")
	p.turns(3)
	if _, err := p.accept(&api.UpdateInstallRequest{}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a job meanwhile: %v", err)
	}
	if _, err := calls().RollBack(t.Context(), &api.UpdateRollBackRequest{Reason: "I do not like it"}); err != nil || !strings.Contains(p.rec.Reason, "I do not like it") {
		t.Fatalf("during the trial: %v, %+v", err, p.rec)
	}
	p.turns(1)
	if p.restarts != 1 {
		t.Errorf("%d restarts", p.restarts)
	}
	p.reboot(trial.A, "1.0.0")
	p.turns(1)
	if _, err := calls().Try(t.Context(), nil); err != nil { // once more
		t.Fatal(err)
	}
	p.reboot(trial.B, "1.1.0")
	p.turns(20)
	if p.rec.State != trial.Committed {
		t.Fatalf("%+v", p.rec)
	}
	a, err := calls().RollBack(t.Context(), &api.UpdateRollBackRequest{})
	if err != nil || !strings.Contains(a.Done, "1.0.0") || p.rec.State != trial.Tried || p.rec.Trial != trial.A {
		t.Errorf("after the commit: %v, %v, %+v", a, err, p.rec)
	}
}

func TestProgressIsFollowedToTheEnd(t *testing.T) {
	p := newPlace(t)
	p.repo.Release("1.1.0", "")
	p.turns(1)
	ctx, cancel := context.WithCancel(t.Context())
	running := make(chan struct{})
	go func() { defer close(running); p.daemon.run(ctx) }()
	s := &stream{ctx: t.Context()}
	err := (server{daemon: p.daemon}).Install(&api.UpdateInstallRequest{Version: "1.1.0"}, s)
	cancel()
	<-running
	if err != nil || len(s.got) == 0 || s.got[len(s.got)-1].Phase != "done" || s.got[len(s.got)-1].Version != "1.1.0" {
		t.Errorf("%v, %v", s.got, err)
	}
}

func TestAMachineWithoutSlotsSaysSo(t *testing.T) {
	p := newPlace(t)
	p.world.open = func() (upgrader, error) { return nil, slots.ErrNotFromSlot }
	p.turns(5)
	if s := p.status(); !strings.Contains(s.Error, "was not booted from a slot") || s.Trial != nil {
		t.Errorf("%v", s)
	}
	if _, err := p.accept(&api.UpdateInstallRequest{}); status.Code(err) != codes.FailedPrecondition {
		t.Error(err)
	}
}

// fakeServer is a provisiond.
type fakeServer struct {
	committed string
	err       error
	told      []string
}

func (f *fakeServer) Booted(_ context.Context, version, failed string) (string, error) {
	f.told = append(f.told, version+": "+failed)
	return f.committed, f.err
}

func TestTheBootServerHearsHowAVersionDoes(t *testing.T) {
	p := newPlace(t)
	p.world.open = func() (upgrader, error) { return nil, slots.ErrNotFromSlot }
	s := &fakeServer{committed: "1.0.0"}
	p.world.server = s
	p.start()
	p.turns(30)
	if len(s.told) != 1 || s.told[0] != "1.0.0: " || p.restarts != 0 || p.status().Trial != nil {
		t.Fatalf("%q, %d restarts", s.told, p.restarts)
	}
	p.reboot(trial.None, "1.1.0")
	p.silent, s.told = errors.New("gone"), nil
	p.turns(70)
	if len(s.told) != 1 || !strings.Contains(s.told[0], "noded does not answer: gone") || p.restarts != 1 {
		t.Fatalf("sick: %q, %d restarts", s.told, p.restarts)
	}
	p.reboot(trial.None, "1.1.0")
	s.err, s.told, p.restarts = errors.New("no route"), nil, 0
	p.turns(120)
	if p.restarts == 0 {
		t.Errorf("sick and cut off: it stays, after %q", s.told)
	}
	p.reboot(trial.None, "1.0.0")
	p.restarts = 0
	p.turns(200)
	if p.restarts != 0 || !strings.Contains(p.status().Fault, "no route") {
		t.Errorf("the version of before restarts too: %v", p.status())
	}
}

// until polls.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time", what)
		}
	}
}
