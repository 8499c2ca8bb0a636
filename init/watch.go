package main

import (
	"sync"
	"time"

	"weir/init/watchdog"
)

// dog is the hardware's watchdog. It has a lock of its own: the supervisor's
// loop feeds it, and must wait for nothing that may wait for the loop.
type dog struct {
	mu   sync.Mutex
	w    *watchdog.Watchdog // guarded by mu; nil: there is none, see none
	none string             // guarded by mu: why
}

// arm makes it reset a machine whose init hangs for so long; 0: it does not.
func (d *dog) arm(timeout time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.w != nil {
		d.w.Disarm()
		d.w, d.none = nil, "machine.watchdog is 0"
	}
	if timeout == 0 {
		return
	}
	w, err := watchdog.Open(timeout)
	if err != nil {
		d.none = err.Error()
		return
	}
	d.w = w
}

// get is the armed one, or nil.
func (d *dog) get() *watchdog.Watchdog {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.w
}

func (d *dog) feed() {
	if w := d.get(); w != nil {
		w.Feed()
	}
}

// String is what the API tells of it.
func (d *dog) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.w != nil {
		return d.w.String()
	}
	return d.none
}
