// Package exception is the way between the dataplane and the kernel (S-85): a
// persistent TAP interface per side, which init (or the lab) makes and which
// carries the node's addresses. Sockets on those addresses outlive a restart of
// the dataplane; while no dataplane holds the TAP it has no carrier.
package exception

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// frameSize bounds a frame, in bytes: room for a full Ethernet frame of the
	// usual MTU, and small enough for one packet buffer.
	frameSize = 2048
	// backlog is how many frames from the kernel may wait for the slow worker.
	backlog = 256
)

// Interface is one exception interface, attached. One thread may call Write and
// Next; a goroutine of its own reads frames from the kernel for it.
type Interface struct {
	name string
	file *os.File
	fd   int
	wake func() // tells the consumer that frames wait
	done chan struct{}
	once sync.Once

	slots  [backlog][frameSize]byte
	length [backlog]int
	tail   atomic.Uint64 // frames ever read from the kernel
	head   atomic.Uint64 // frames ever taken by the consumer

	counts Counters
}

// Counters count frames, since the start.
type Counters struct {
	ToKernel   atomic.Uint64
	FromKernel atomic.Uint64
	KernelFull atomic.Uint64 // lost: the kernel's queue was full, or the interface down
	Overrun    atomic.Uint64 // lost: the slow worker did not keep up, or the frame was too long
}

// Open attaches to an existing TAP. Errors say what to do: the interface is
// absent, held by another process, or this process lacks the right.
func Open(name string) (*Interface, error) {
	if _, err := net.InterfaceByName(name); err != nil {
		return nil, fmt.Errorf("exception interface %s does not exist; create it with: ip tuntap add dev %s mode tap", name, name)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun (needs root and the tun module): %w", err)
	}
	if err := attach(fd, name); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &Interface{name: name, file: os.NewFile(uintptr(fd), name), fd: fd, done: make(chan struct{})}, nil
}

func attach(fd int, name string) error {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return fmt.Errorf("exception interface %q: %w", name, err)
	}
	ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	switch err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("exception interface %s is held by another process; stop the other dataplane first", name)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("exception interface %s is not a plain TAP; create it with: ip tuntap add dev %s mode tap", name, name)
	case err != nil:
		return fmt.Errorf("attach to exception interface %s (needs root): %w", name, err)
	}
	return nil
}

// Name is the interface's name.
func (i *Interface) Name() string { return i.name }

// Counters may be read by any goroutine.
func (i *Interface) Counters() *Counters { return &i.counts }

// Start begins to read frames from the kernel; wake is called after each.
func (i *Interface) Start(wake func()) {
	i.wake = wake
	go i.read()
}

func (i *Interface) read() {
	defer close(i.done)
	var spill [frameSize]byte
	for {
		tail := i.tail.Load()
		slot, full := &i.slots[tail%backlog], tail-i.head.Load() == backlog
		if full {
			slot = &spill
		}
		n, err := i.file.Read(slot[:])
		switch {
		case err != nil:
			return // closed by us, or the interface was deleted
		case full || n == frameSize:
			i.counts.Overrun.Add(1)
			continue
		}
		i.length[tail%backlog] = n
		i.counts.FromKernel.Add(1)
		i.tail.Store(tail + 1)
		i.wake()
	}
}

// Gone is closed when no frame will come any more: after Close, or when
// somebody deleted the interface.
func (i *Interface) Gone() <-chan struct{} { return i.done }

// Waiting reports whether Next would give a frame.
func (i *Interface) Waiting() bool { return i.head.Load() != i.tail.Load() }

// Next is the oldest frame from the kernel, or nil. It stays valid until Done.
func (i *Interface) Next() []byte {
	head := i.head.Load()
	if head == i.tail.Load() {
		return nil
	}
	return i.slots[head%backlog][:i.length[head%backlog]]
}

// Done gives back the frame that Next returned.
func (i *Interface) Done() { i.head.Add(1) }

// Write gives a frame to the kernel. A frame that the kernel does not take is
// counted and gone, as on a wire.
func (i *Interface) Write(frame []byte) {
	if _, err := unix.Write(i.fd, frame); err != nil {
		i.counts.KernelFull.Add(1)
		return
	}
	i.counts.ToKernel.Add(1)
}

// Close detaches; the interface itself stays and loses its carrier. Nobody may
// call Write any more.
func (i *Interface) Close() error {
	err := os.ErrClosed
	i.once.Do(func() {
		err = i.file.Close()
		if i.wake != nil {
			<-i.done
		}
	})
	return err
}
