package main

import (
	"time"

	"weir/init/watchdog"
)

// armWatchdog makes the hardware reset a machine whose init hangs for so long;
// 0: it does not.
func (n *node) armWatchdog(timeout time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.watchdog != nil {
		n.watchdog.Disarm()
		n.watchdog, n.noDog = nil, "machine.watchdog is 0"
	}
	if timeout == 0 {
		return
	}
	w, err := watchdog.Open(watchdog.Device, timeout)
	if err != nil {
		n.noDog = err.Error()
		return
	}
	n.watchdog = w
	n.super.Pet(n.feed)
}

func (n *node) feed() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.watchdog != nil {
		n.watchdog.Feed()
	}
}
