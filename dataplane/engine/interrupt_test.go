package engine

import (
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/dataplane/dpdk"
)

// irqNIC is a NIC with an interrupt, and the stage that receives from it.
type irqNIC struct {
	fd      int
	enabled atomic.Bool
	enables atomic.Int64
	frames  atomic.Int64 // that wait
	taken   atomic.Int64
	late    atomic.Int64 // frames that come in the moment of the next enabling, without an interrupt
}

func (n *irqNIC) EnableInterrupt() {
	n.frames.Add(n.late.Swap(0))
	n.enables.Add(1)
	n.enabled.Store(true)
}
func (n *irqNIC) DisableInterrupt() { n.enabled.Store(false) }

// arrive is a frame that comes.
func (n *irqNIC) arrive() {
	n.frames.Add(1)
	if n.enabled.Load() {
		unix.Write(n.fd, one)
	}
}

func (n *irqNIC) step(int64) int {
	k := n.frames.Swap(0)
	n.taken.Add(k)
	return int(k)
}
func (n *irqNIC) tick(now int64) int64 { return now + int64(time.Hour) }
func (n *irqNIC) waiting() bool        { return false }

func TestAnIdleThreadIsWokenByTheNICsInterrupt(t *testing.T) {
	x, err := dpdk.NewExchange(pool, noPorts, noPorts, false)
	if err != nil {
		t.Fatal(err)
	}
	th, err := newThread("rx", 0, -1, x, false)
	if err != nil {
		t.Fatal(err)
	}
	defer th.close()
	nic := &irqNIC{}
	if nic.fd, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(nic.fd)
	th.body = nic
	th.interruptedBy(nic, nic.fd)
	if err := th.start(); err != nil {
		t.Fatal(err)
	}
	defer th.stop()
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("not in time: %s", what)
			}
		}
	}
	for i := range int64(20) {
		until("it sleeps until the NIC wakes it", nic.enabled.Load)
		nic.arrive()
		until("the frame is taken", func() bool { return nic.taken.Load() == i+1 })
	}

	// Idle, it comes round ten times a second, and not a thousand times.
	until("it sleeps again", nic.enabled.Load)
	before := nic.enables.Load()
	until("it comes round", func() bool { return nic.enables.Load() >= before+3 })
	sleeps := th.counts.Load(Sleeps)
	time.Sleep(time.Second) // the thing measured
	if n := th.counts.Load(Sleeps) - sleeps; n > 100 {
		t.Errorf("%d sleeps in a second of idleness", n)
	}

	// A frame that comes while the interrupt is being enabled is not overlooked.
	nic.late.Store(1)
	until("the late frame is taken", func() bool { return nic.taken.Load() == 21 })
}
