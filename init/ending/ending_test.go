package ending

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fake writes down what is done to the machine.
type fake struct {
	mu   sync.Mutex
	did  []string
	over chan struct{}
	fail error
}

func (f *fake) add(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, what)
}

func (f *fake) Sync() { f.add("sync") }
func (f *fake) Release(at string) error {
	f.add("release " + at)
	return f.fail
}
func (f *fake) End(how How)          { f.add("end " + string(how)); close(f.over) }
func (f *fake) KeysAsk() error       { return nil }
func (f *fake) Feed()                {}
func (f *fake) Disarm()              { f.add("disarm") }
func (f *fake) Last(d time.Duration) { f.add("last " + d.String()) }

func (f *fake) steps() Steps {
	return Steps{
		Tell:     func(line string) { f.add("tell " + line) },
		Crashed:  func(text string) { f.add("crashed " + strings.Split(text, "\n")[0]) },
		Services: func(context.Context) []string { f.add("services"); return nil },
		Save:     []func(context.Context){func(context.Context) { f.add("save") }},
		State:    "/var/lib/weir", Watchdog: f, Machine: f,
	}
}

// run ends the machine and returns what was done, without what was told.
func (f *fake) run(t *testing.T, steps Steps, ask func(*Ending)) string {
	f.over = make(chan struct{})
	e := New()
	go e.Do(func() Steps { return steps })
	ask(e)
	select {
	case <-f.over:
	case <-time.After(time.Minute):
		t.Fatalf("no end; did %q", f.did)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var did []string
	for _, d := range f.did {
		if !strings.HasPrefix(d, "tell ") {
			did = append(did, d)
		}
	}
	return strings.Join(did, ", ")
}

func (f *fake) told(text string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Contains(strings.Join(f.did, "\n"), text)
}

func TestTheEndHasItsOrderAndTheFirstWhoAsksIsHeard(t *testing.T) {
	f := &fake{}
	got := f.run(t, f.steps(), func(e *Ending) {
		if err := e.Ask("sleep", "x"); err == nil {
			t.Error("sleeping is a way to end")
		}
		e.Ask(Reboot, "asked for by root")
		e.Ask(PowerOff, "asked for by another")
	})
	if want := "services, save, sync, release /var/lib/weir, end reboot"; got != want {
		t.Errorf("did %s, want %s", got, want)
	}
	if !f.told("reboot: asked for by root") {
		t.Errorf("told %q", f.did)
	}
}

func TestTheWatchdogIsDisarmedOnlyBeforeThePowerGoes(t *testing.T) {
	f := &fake{}
	got := f.run(t, f.steps(), func(e *Ending) { e.Ask(PowerOff, "x") })
	if !strings.HasSuffix(got, "release /var/lib/weir, disarm, end poweroff") {
		t.Errorf("did %s", got)
	}
}

func TestAKernelStartedByKexecIsWatched(t *testing.T) {
	f := &fake{}
	got := f.run(t, f.steps(), func(e *Ending) { e.Ask(Kexec, "x") })
	if !strings.HasSuffix(got, "release /var/lib/weir, last 2m0s, end kexec") {
		t.Errorf("did %s", got)
	}
	f = &fake{}
	s := f.steps()
	s.Watchdog = nil
	if got := f.run(t, s, func(e *Ending) { e.Ask(Kexec, "x") }); !strings.HasSuffix(got, "end reboot") || !f.told("no hardware watchdog") {
		t.Errorf("without a watchdog: did %s, told %q", got, f.did)
	}
}

func TestNothingThatFailsKeepsTheMachineFromItsEnd(t *testing.T) {
	f := &fake{fail: errors.New("device or resource busy")}
	s := f.steps()
	s.Services = func(ctx context.Context) []string { return []string{"noded"} }
	s.Save = append(s.Save, func(context.Context) { panic("a slip") })
	s.Watchdog = nil
	got := f.run(t, s, func(e *Ending) { e.Ask(Reboot, "x") })
	if want := "save, sync, release /var/lib/weir, end reboot"; got != want {
		t.Errorf("did %s, want %s", got, want)
	}
	for _, text := range []string{"cannot be stopped: noded", "panic: a slip", "device or resource busy"} {
		if !f.told(text) {
			t.Errorf("not told: %s", text)
		}
	}
}

func TestAStepThatHangsIsLeftBehind(t *testing.T) {
	f := &fake{}
	s := f.steps()
	hung := make(chan struct{})
	defer close(hung)
	begin := time.Now()
	s.within("write out the disks", 50*time.Millisecond, func(context.Context) { <-hung })
	if took := time.Since(begin); took > 10*time.Second || !f.told("write out the disks: not done within 50ms; going on") {
		t.Errorf("after %v: %q", took, f.did)
	}
}

func TestSignalsEndTheMachineInOrderOrNotAtAll(t *testing.T) {
	e := New()
	if err := e.Keys(&fake{}); err != nil {
		t.Fatal(err)
	}
	defer signal.Reset()
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGPWR} {
		syscall.Kill(os.Getpid(), s)
	}
	if r := <-e.asked; r.how != PowerOff {
		t.Errorf("asked %+v", r)
	}
	syscall.Kill(os.Getpid(), syscall.SIGTERM)
	if r := <-e.asked; r.how != Reboot {
		t.Errorf("asked %+v", r)
	}
}

func TestThePowerButtonIsAnOrderlyEnd(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "dev/input")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	event := func(kind, code uint16, value uint32) []byte {
		b := binary.NativeEndian.AppendUint16(make([]byte, 16), kind)
		return binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint16(b, code), value)
	}
	for file, events := range map[string][][]byte{
		"event0": {event(1, 30, 1), event(4, 4, 116), event(1, 116, 0)}, // a keyboard
		"event1": {event(0, 0, 0), event(1, 116, 1)},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), slices.Concat(events...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := New()
	e.PowerButton(root)
	if r := <-e.asked; r.how != PowerOff || r.why != "the power button was pressed" {
		t.Errorf("asked %+v", r)
	}
}

func TestAPanicIsKeptOnRecordAndEndsInAReboot(t *testing.T) {
	f := &fake{}
	e := New()
	e.Go(func() {
		var list []int
		fmt.Println(list[len(list)])
	})
	r := <-e.asked
	if r.after != countdown || !strings.Contains(r.crash, "index out of range") || !strings.Contains(r.crash, "ending_test.go") {
		t.Errorf("asked: %+v", r)
	}
	r.after = 0
	s := f.steps()
	s.end(r)
	if !f.told("crashed panic in init: runtime error: index out of range") || !f.told("reboot now") {
		t.Errorf("did %q", f.did)
	}
}
