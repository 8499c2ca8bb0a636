// Package watchdog holds the hardware watchdogs: timers of the machine's that
// reset it when init does not feed them (Documentation/watchdog/watchdog-api).
// A machine can have several, its chipset's and its management controller's;
// which of them works is known only when it bites, so all are armed.
//
// They stay armed over a reboot (init/modules sees to that, some drivers would stop
// theirs): until the kernel hands over to the firmware, a shutdown that hangs is cut
// short by a reset, which is what was asked for anyway; and a kernel that another one
// starts is watched from its first instruction. Before the power is switched off they are disarmed: some run on
// standby power, and would switch the machine on again.
package watchdog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Watchdog is all of a machine's timers, armed.
type Watchdog struct {
	timers []timer
	failed error // of those that are not
}

type timer struct {
	f    *os.File
	what string // "/dev/watchdog0 (i6300ESB timer), 30s"
}

// Open arms the timers to reset the machine when they are not fed for the
// timeout, which the hardware rounds to what it can do. One of them suffices.
// The kernel's own, softdog, is in no image: it dies with the kernel that it
// should watch.
func Open(timeout time.Duration) (*Watchdog, error) {
	devices, err := filepath.Glob("/dev/watchdog[0-9]*")
	if err != nil {
		return nil, err
	}
	if len(devices) == 0 {
		return nil, errors.New("this machine has no hardware watchdog that the image has a driver for")
	}
	w := &Watchdog{}
	for _, d := range devices {
		t, err := arm(d, timeout)
		if err != nil {
			w.failed = errors.Join(w.failed, err)
			continue
		}
		w.timers = append(w.timers, t)
	}
	if len(w.timers) == 0 {
		return nil, w.failed
	}
	w.Feed()
	return w, nil
}

func arm(device string, timeout time.Duration) (timer, error) {
	f, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err != nil {
		return timer{}, fmt.Errorf("arm a hardware watchdog: %w", err)
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.WDIOC_SETTIMEOUT, int(timeout/time.Second)); err != nil {
		disarm(f)
		return timer{}, fmt.Errorf("set the time of the hardware watchdog %s to %v: %w", device, timeout, err)
	}
	if s, err := unix.IoctlGetInt(int(f.Fd()), unix.WDIOC_GETTIMEOUT); err == nil {
		timeout = time.Duration(s) * time.Second
	}
	name, _ := os.ReadFile(filepath.Join("/sys/class/watchdog", filepath.Base(device), "identity")) // a courtesy
	return timer{f: f, what: fmt.Sprintf("%s (%s), %v", device, strings.TrimSpace(string(name)), timeout)}, nil
}

// Feed gives the machine another timeout to live. An error has no remedy here
// but the reset that it leads to.
func (w *Watchdog) Feed() {
	for _, t := range w.timers {
		_ = unix.IoctlWatchdogKeepalive(int(t.f.Fd()))
	}
}

// Last feeds the timers once more, and gives the machine that long, as near as the
// hardware can.
func (w *Watchdog) Last(timeout time.Duration) {
	for _, t := range w.timers {
		_ = unix.IoctlSetPointerInt(int(t.f.Fd()), unix.WDIOC_SETTIMEOUT, int(timeout/time.Second))
	}
	w.Feed()
}

// Disarm stops the timers.
func (w *Watchdog) Disarm() {
	for _, t := range w.timers {
		disarm(t.f)
	}
}

// disarm: the letter V before closing says that this is on purpose.
func disarm(f *os.File) {
	_, _ = f.WriteString("V")
	f.Close()
}

// String is what the API tells of them.
func (w *Watchdog) String() string {
	var all []string
	for _, t := range w.timers {
		all = append(all, t.what)
	}
	if w.failed != nil {
		all = append(all, strings.ReplaceAll(w.failed.Error(), "\n", "; "))
	}
	return strings.Join(all, "; ")
}
