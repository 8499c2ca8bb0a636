package engine

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"weir/dataplane/dpdk"
)

const (
	// portMTU is what NICs are configured for, bytes.
	portMTU = 1500
	// descriptors is the length of a hardware queue.
	descriptors = 1024
	// An AF_PACKET port copies through two rings in kernel memory. 2 048 frames
	// each way ride out a scheduling delay of 10 ms at 200 000 frames/s, in 8 MiB.
	afPacketArgs = "iface=%s,qpairs=1,blocksz=65536,framesz=2048,framecnt=2048"
)

// Port is a NIC that DPDK drives.
type Port struct {
	ID     dpdk.PortID
	Device string
	MAC    [6]byte
	vdev   string // name to detach by; empty for hardware
	wake   int    // a descriptor that is readable when frames wait; -1: none
	irq    bool   // wake is an interrupt's, to be enabled before a sleep
	missed atomic.Uint64
}

// OpenAFPacket makes a port of a kernel interface, which must exist, and turns
// off the offloads that would hand it frames without checksums or longer than
// the MTU. The caller gives the interface nothing else to do (no address).
func OpenAFPacket(name, iface string, pool *dpdk.Mempool) (*Port, error) {
	link, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, fmt.Errorf("interface %s does not exist; create it or correct the device in node.yaml", iface)
	}
	if err := readyInterface(iface); err != nil {
		return nil, err
	}
	id, err := dpdk.Attach(name, fmt.Sprintf(afPacketArgs, iface))
	if err != nil {
		return nil, fmt.Errorf("open interface %s for packets (needs root): %w", iface, err)
	}
	p := &Port{ID: id, Device: "af_packet:" + iface, vdev: name, wake: packetSocket(link.Index)}
	if p.wake >= 0 {
		// Frames that the kernel itself sends there are none of ours.
		if err := unix.SetsockoptInt(p.wake, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return nil, errors.Join(fmt.Errorf("ignore outgoing frames of %s: %w", iface, err), p.Close())
		}
	}
	return p.bringUp(pool)
}

// OpenPCI makes a port of a hardware NIC, which a vfio or uio driver must hold.
// With interrupts, which need vfio, the NIC can wake an idle node.
func OpenPCI(address string, pool *dpdk.Mempool, interrupts bool) (*Port, error) {
	id, err := dpdk.PortByName(address)
	if err != nil {
		return nil, fmt.Errorf("%w; it drives virtio, ixgbe, i40e, ice, igb and e1000e NICs that are bound to vfio-pci or uio_pci_generic", err)
	}
	return (&Port{ID: id, Device: "pci:" + address, wake: -1, irq: interrupts}).bringUp(pool)
}

// OpenVirtual makes a port of a virtual device: net_ring, net_null.
func OpenVirtual(name, args string, pool *dpdk.Mempool) (*Port, error) {
	id, err := dpdk.Attach(name, args)
	if err != nil {
		return nil, err
	}
	return (&Port{ID: id, Device: name, vdev: name, wake: -1}).bringUp(pool)
}

func (p *Port) bringUp(pool *dpdk.Mempool) (*Port, error) {
	err := p.ID.Configure(pool, portMTU, descriptors, p.irq)
	if err == nil {
		err = p.ID.Start()
	}
	if err == nil && p.irq {
		p.wake = p.ID.InterruptFD()
		p.irq = p.wake >= 0 // not every driver has them
	}
	if err == nil {
		p.MAC, err = p.ID.MAC()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", p.Device, err), p.Close())
	}
	return p, nil
}

// Close stops the port and frees the NIC.
func (p *Port) Close() error {
	if p.vdev != "" {
		return dpdk.Detach(p.vdev)
	}
	return p.ID.Close()
}

// Stats reads the port's counters, with what the kernel dropped because the
// receive ring was full. One goroutine may call it at a time.
func (p *Port) Stats() (dpdk.Stats, error) {
	s, err := p.ID.Stats()
	if p.wake >= 0 && !p.irq {
		// Reading these resets them.
		if k, e := unix.GetsockoptTpacketStats(p.wake, unix.SOL_PACKET, unix.PACKET_STATISTICS); e == nil {
			p.missed.Add(uint64(k.Drops))
		}
	}
	s.RxMissed += p.missed.Load()
	return s, err
}

// packetSocket finds the socket that the AF_PACKET driver just opened on an
// interface. The driver does not tell, but the descriptor is this process's
// own, and to be woken by it is what lets an idle node sleep (S-80).
func packetSocket(ifindex int) int {
	for fd := range maxDescriptors {
		if d, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || d != unix.AF_PACKET {
			continue
		}
		if sa, err := unix.Getsockname(fd); err == nil {
			if ll, ok := sa.(*unix.SockaddrLinklayer); ok && ll.Ifindex == ifindex {
				return fd
			}
		}
	}
	return -1
}

// maxDescriptors bounds the search: a dataplane has a few dozen.
const maxDescriptors = 1024
