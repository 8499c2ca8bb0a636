package engine

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weir/dataplane/exception"
	"weir/qemu/netns"
	"weir/qemu/netns/nstest"
)

var layouts = map[string]Layout{
	"single":   {},
	"pipeline": {RX: []int{0}, TX: []int{0}, Workers: []int{1}},
}

// How long an answer may take: one that is asked for again, and one that must come.
const (
	soon = 200 * time.Millisecond
	late = 10 * time.Second
)

func TestTheKernelIsReachedThroughTheExceptionPathOnly(t *testing.T) {
	for name, l := range layouts {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			if n.pings(t, 56, soon) {
				t.Fatal("the kernel answers without a dataplane")
			}
			e := n.start(t, l)
			answers := func() bool { return n.pings(t, 56, soon) }
			nstest.Eventually(t, "the kernel answers", answers)
			// In a pipeline a fast worker's frames for the kernel take a ring to the slow one.
			before := n.tap.Counters().ToKernel.Load()
			e.SetSteering(steer(0))
			nstest.Eventually(t, "the kernel answers what a fast worker passed", answers)
			if n.tap.Counters().ToKernel.Load() == before {
				t.Error("nothing went to the kernel")
			}
			const most = 1500 - 20 - 8
			for range 50 {
				if !n.pings(t, most, late) {
					t.Error("a full-size packet was lost")
				}
			}
			c := n.tap.Counters()
			if c.ToKernel.Load() < 50 || c.FromKernel.Load() < 50 || c.Overrun.Load() != 0 || c.KernelFull.Load() != 0 {
				t.Errorf("to kernel %d, from kernel %d, overrun %d, full %d", c.ToKernel.Load(), c.FromKernel.Load(), c.Overrun.Load(), c.KernelFull.Load())
			}
			s, err := n.port.Stats()
			if err != nil || s.RxFrames < 50 || s.TxFrames < 50 || s.RxMissed != 0 {
				t.Errorf("port counters %+v, %v", s, err)
			}
		})
	}
}

// A cable that is pulled must not stop the thread: the driver's queue fills up
// with frames that nobody takes.
func TestAPulledCableStopsNothing(t *testing.T) {
	n := newNode(t)
	n.start(t, Layout{})
	answers := func() bool { return n.pings(t, 56, soon) }
	nstest.Eventually(t, "the kernel answers", answers)
	down := func(down bool) {
		nstest.Must(t, netns.Do(nstest.Home, func() error {
			l, err := netlink.LinkByName("nic0")
			if err != nil {
				return err
			}
			if down {
				return netlink.LinkSetDown(l)
			}
			return netlink.LinkSetUp(l)
		}))
	}
	down(true)
	c, err := net.Dial("udp", farAddress.Addr().String()+":9")
	nstest.Must(t, err)
	defer c.Close()
	from := n.tap.Counters().FromKernel.Load()
	nstest.Eventually(t, "more frames went out than the queue holds", func() bool {
		for range 64 {
			c.Write(make([]byte, 100)) // what is refused is tried again
		}
		return n.tap.Counters().FromKernel.Load()-from > 5000
	})
	down(false)
	nstest.Eventually(t, "the kernel answers again", answers)
}

func TestATapIsHeldByOneProcess(t *testing.T) {
	nstest.Must(t, netns.Tap(nstest.Home, "exc1", []byte{2, 0, 0, 0, 0, 1}, 1500))
	t.Cleanup(func() { nstest.Must(t, netns.DeleteLink(nstest.Home, "exc1")) })
	tap, err := exception.Open("exc1")
	nstest.Must(t, err)
	if _, err := exception.Open("exc1"); err == nil || !strings.Contains(err.Error(), "held by another process") {
		t.Errorf("second holder: %v", err)
	}
	nstest.Must(t, tap.Close())
	again, err := exception.Open("exc1")
	if err != nil {
		t.Fatalf("after the first holder let go: %v", err)
	}
	again.Start(func() {})
	nstest.Must(t, netns.DeleteLink(nstest.Home, "exc1"))
	nstest.Eventually(t, "the deletion is noticed", func() bool {
		select {
		case <-again.Gone():
			return true
		default:
			return false
		}
	})
	nstest.Must(t, again.Close())
}

func TestAbsentInterfacesAreErrorsThatSayWhatToDo(t *testing.T) {
	if _, err := exception.Open("absent0"); err == nil || !strings.Contains(err.Error(), "ip tuntap add dev absent0 mode tap") {
		t.Errorf("absent TAP: %v", err)
	}
	if _, err := exception.Open("lo"); err == nil || !strings.Contains(err.Error(), "not a plain TAP") {
		t.Errorf("loopback as TAP: %v", err)
	}
	if _, err := OpenAFPacket("net_af_packet1", "absent0", pool); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("absent interface: %v", err)
	}
	if _, err := OpenPCI("0000:ff:00.0", pool, true); err == nil || !strings.Contains(err.Error(), "vfio-pci") {
		t.Errorf("absent PCI device: %v", err)
	}
}

// S-80: at rest a node takes less than a tenth of a core, and wakes at once.
func TestAnIdleNodeLeavesTheMachineAlone(t *testing.T) {
	for name, l := range layouts {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			e := n.start(t, l)
			nstest.Eventually(t, "the kernel answers", func() bool { return n.pings(t, 56, soon) })
			const window = time.Second
			before, from := cpuTime(t), time.Now()
			time.Sleep(window) // the thing measured
			used := float64(cpuTime(t)-before) / float64(time.Since(from))
			t.Logf("idle %s: %.2f %% of a core", name, used*100)
			if used > 0.10 {
				t.Errorf("an idle node takes %.1f %% of a core", used*100)
			}
			ran := false
			e.OnWorker(0, func() { ran = true })
			if !ran || !n.pings(t, 56, late) {
				t.Error("it does not wake up")
			}
		})
	}
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var r unix.Rusage
	nstest.Must(t, unix.Getrusage(unix.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
