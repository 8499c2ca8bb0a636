package main

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"

	"weir/dataplane/dpdk"
	"weir/dataplane/engine"
	"weir/dataplane/exception"
	"weir/dataplane/flow"
	"weir/dataplane/lbnode"
	"weir/dataplane/neighbour"
	"weir/dataplane/packet"
	"weir/services/api"
	"weir/services/config"
)

// node is the running dataplane.
type node struct {
	api.UnimplementedDataplaneServer

	file    *config.Node
	memory  int // NUMA node; anyNode: it does not matter
	log     *slog.Logger
	boot    uint64
	started time.Time

	pool    *dpdk.Mempool
	ports   [packet.NumPorts]*engine.Port
	taps    [packet.NumPorts]*exception.Interface
	engine  *engine.Engine
	workers []*lbnode.Worker
	slow    *lbnode.Slow
	mirror  *neighbour.Mirror
	closers []func() error

	capturing atomic.Bool // somebody captures frames

	mu      sync.Mutex // guards what follows, and orders changes of the workers' configuration
	vital   vital
	seen    seenServers // guarded by mu
	desired *desired    // nil before the first Apply
	current *lbnode.Config
	wall    int64
	busy    busyShares
}

// openNode takes over NICs and exception interfaces, with memory on a NUMA node,
// and starts the threads. On an error everything is given back.
func openNode(file *config.Node, memory int, log *slog.Logger) (*node, error) {
	n := &node{file: file, memory: memory, log: log, started: time.Now(), boot: randomNumber()}
	for _, step := range []func() error{n.openMemory, n.openPorts, n.openExceptions, n.openEngine, n.startEngine} {
		if err := step(); err != nil {
			return nil, errors.Join(err, n.close())
		}
	}
	return n, nil
}

// onClose adds to what close undoes, last first.
func (n *node) onClose(f func() error) { n.closers = append(n.closers, f) }

func (n *node) close() error {
	var all []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		all = append(all, n.closers[i]())
	}
	n.closers = nil
	return errors.Join(all...)
}

func (n *node) openMemory() error {
	c := n.file.Dataplane
	o := dpdk.EAL{FilePrefix: c.FilePrefix, MemoryMiB: int(c.Memory >> 20), NoHuge: !c.Hugepages, NUMA: n.memory,
		Log: func(line string) { n.log.Debug("dpdk", "line", line) }}
	for _, nic := range []config.NIC{c.North, c.South} {
		if nic.Kind() == config.DevicePCI {
			o.PCI = append(o.PCI, nic.Name())
		}
	}
	if err := dpdk.Init(o); err != nil {
		return err
	}
	n.onClose(dpdk.Cleanup)
	// The rest is for DPDK itself, drivers' queues, and what fragments.
	const fixed = 4 << 20
	size := dpdk.FrameSize
	if !c.Hugepages {
		size = dpdk.FrameSizeNoHuge
	}
	frames := (int(c.Memory)*3/4 - fixed) / size
	var err error
	if n.pool, err = dpdk.NewMempool("frames", frames, n.memory); err != nil {
		return fmt.Errorf("%w; raise dataplane.memory in node.yaml", err)
	}
	n.onClose(func() error { n.pool.Free(); return nil })
	return nil
}

func (n *node) openPorts() (err error) {
	for side, nic := range []config.NIC{n.file.Dataplane.North, n.file.Dataplane.South} {
		if nic.Kind() == config.DevicePCI {
			n.ports[side], err = engine.OpenPCI(nic.Name(), n.pool, n.file.Dataplane.Idle != config.IdlePoll && interrupts(nic.Name()))
		} else {
			n.ports[side], err = engine.OpenAFPacket(fmt.Sprintf("net_af_packet%d", side), nic.Name(), n.pool)
		}
		if err != nil {
			return err
		}
		n.onClose(n.ports[side].Close)
	}
	return nil
}

// maxMTU is what fits the NICs' configuration and a packet buffer, bytes.
const maxMTU = 1500

func (n *node) openExceptions() (err error) {
	for side, nic := range []config.NIC{n.file.Dataplane.North, n.file.Dataplane.South} {
		if n.taps[side], err = exception.Open(nic.Exception); err != nil {
			return err
		}
		n.onClose(n.taps[side].Close)
		link, err := netlink.LinkByName(nic.Exception)
		if err != nil {
			return fmt.Errorf("look at exception interface %s: %w", nic.Exception, err)
		}
		if link.Attrs().MTU > maxMTU {
			return fmt.Errorf("exception interface %s has MTU %d, at most %d fits; set it: ip link set %s mtu %d",
				nic.Exception, link.Attrs().MTU, maxMTU, nic.Exception, maxMTU)
		}
		// Its frames leave through the NIC unchanged, so it must have the NIC's address.
		if mac := n.ports[side].MAC; string(link.Attrs().HardwareAddr) != string(mac[:]) {
			n.log.Info("giving the exception interface the NIC's address", "interface", nic.Exception, "mac", net.HardwareAddr(mac[:]))
			if err := netlink.LinkSetHardwareAddr(link, mac[:]); err != nil {
				return fmt.Errorf("give %s the NIC's address: %w", nic.Exception, err)
			}
		}
	}
	return nil
}

func (n *node) openEngine() (err error) {
	c := n.file.Dataplane
	n.engine, err = engine.New(engine.Config{Pool: n.pool, Ports: n.ports, Exceptions: n.taps, Layout: layoutOf(c.Layout), Poll: c.Idle == config.IdlePoll})
	if err != nil {
		return err
	}
	// After the engine has stopped: its threads use the tables.
	n.onClose(func() error {
		for _, w := range n.workers {
			w.Close()
		}
		return nil
	})
	n.onClose(func() error { n.engine.Stop(); return nil })
	n.slow = lbnode.NewSlow(n.engine.SlowIO(), n.engine.Workers())
	limits := lbnode.Limits{Flows: c.Flows, HalfOpen: c.HalfOpen, Held: c.Held}
	for i := range n.engine.Workers() {
		w, err := lbnode.NewWorker(i, limits, n.engine.IO(i), flow.Seed{randomNumber(), randomNumber()})
		if err != nil {
			return fmt.Errorf("%w; lower dataplane.flows in node.yaml", err)
		}
		n.workers = append(n.workers, w)
	}
	return nil
}

// startEngine lets packets flow. Until the first Apply there are no endpoints
// and no peers: only the exception path works.
func (n *node) startEngine() error {
	if err := n.rebuild(); err != nil {
		return err
	}
	stages := make([]engine.Stage, len(n.workers))
	for i, w := range n.workers {
		stages[i] = w
	}
	return n.engine.Start(stages, n.slow, steering{lbnode.NewSteering(n.current, len(n.workers))})
}

func layoutOf(l config.Layout) engine.Layout {
	return engine.Layout{RX: l.RX, TX: l.TX, Workers: l.Workers}
}

// addresses are those that the exception interface of a side has now.
func (n *node) addresses(side packet.Port) ([]netip.Addr, error) {
	link, err := net.InterfaceByName(n.taps[side].Name())
	if err != nil {
		return nil, fmt.Errorf("look at exception interface %s: %w", n.taps[side].Name(), err)
	}
	list, err := link.Addrs()
	if err != nil {
		return nil, fmt.Errorf("read the addresses of %s: %w", link.Name, err)
	}
	var out []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return out, nil
}

func randomNumber() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}
