// Package watchdog holds the hardware watchdog: a timer of the machine's that
// resets it when init does not feed it (Documentation/watchdog/watchdog-api).
//
// It stays armed over a reboot: until the kernel hands over to the firmware a
// shutdown that hangs is cut short by a reset, which is what was asked for
// anyway. Before the power is switched off it is disarmed: some of these timers
// run on standby power, and would switch the machine on again.
package watchdog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Device is the first watchdog of a machine. The kernel's own, softdog, is never
// loaded: it dies with the kernel that it should watch.
const Device = "/dev/watchdog0"

// Watchdog is an armed one.
type Watchdog struct {
	f       *os.File
	device  string
	name    string
	timeout time.Duration
}

// Open arms the watchdog to reset the machine when it is not fed for the
// timeout, which the hardware rounds to what it can do.
func Open(device string, timeout time.Duration) (*Watchdog, error) {
	f, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("arm the hardware watchdog: %w", err)
	}
	w := &Watchdog{f: f, device: device, timeout: timeout}
	name, _ := os.ReadFile(filepath.Join("/sys/class/watchdog", filepath.Base(device), "identity")) // a courtesy
	w.name = strings.TrimSpace(string(name))
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.WDIOC_SETTIMEOUT, int(timeout/time.Second)); err != nil {
		w.Disarm()
		return nil, fmt.Errorf("set the time of the hardware watchdog %s to %v: %w", device, timeout, err)
	}
	if s, err := unix.IoctlGetInt(int(f.Fd()), unix.WDIOC_GETTIMEOUT); err == nil {
		w.timeout = time.Duration(s) * time.Second
	}
	w.Feed()
	return w, nil
}

// Feed gives the machine another timeout to live. An error has no remedy here
// but the reset that it leads to.
func (w *Watchdog) Feed() { _ = unix.IoctlWatchdogKeepalive(int(w.f.Fd())) }

// Disarm stops it: the letter V before closing says that this is on purpose.
func (w *Watchdog) Disarm() {
	_, _ = w.f.WriteString("V")
	w.f.Close()
}

// String is what the API tells of it: "/dev/watchdog0 (i6300ESB timer), 30s".
func (w *Watchdog) String() string {
	if w.name == "" {
		return fmt.Sprintf("%s, %v", w.device, w.timeout)
	}
	return fmt.Sprintf("%s (%s), %v", w.device, w.name, w.timeout)
}
