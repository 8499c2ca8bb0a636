package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"weir/dataplane/flow"
	"weir/dataplane/lbnode"
	"weir/dataplane/packet"
)

// Node is an LB node: the workers and the slow worker of lbnode, driven as the
// engine drives them, with two ports on buses in the place of two NICs (S-90).
type Node struct {
	ID      string
	Number  uint16
	Boot    uint64 // of the dataplane: another one in every life
	Ports   [packet.NumPorts]*Port
	Workers []*lbnode.Worker
	Arena   *arena
	Kernel  uint64 // frames that went to the exception interface

	sim      *Sim
	rand     *rand.Rand
	slow     *lbnode.Slow
	steering *lbnode.Steering
	received []packet.Buf // not yet polled
	polling  bool
	timer    *Event
	life     int // how often it has died
	down     bool
	stopped  bool          // the process does not run
	slowness time.Duration // longest time that a poll comes late
	clock    clock
	wall     int64    // ns that the wall clock is ahead
	flushes  int      // how often the dataplane forgot everything
	waiting  []func() // what the stopped process will do
	epoch    uint32   // of the ring in force
	vital    *lbnode.Vital
	control  *control // nil: everything is as the cluster file says
	bgp      *sessions
	links    [packet.NumPorts]*link
}

const (
	nodeBuffers = 8192
	burstSize   = 64
	pollTime    = 20 * time.Microsecond // longest time between two polls of the NICs
	nicQueue    = 1024                  // frames that wait in the NICs of a process that does not run
)

// nodeLimits are small: a simulated cluster carries thousands of flows, not millions.
var nodeLimits = lbnode.Limits{Flows: 8192, HalfOpen: 4096, Held: 2048}

// NewNode makes a node and attaches it to both buses. It does nothing before
// SetConfig.
func NewNode(sim *Sim, id string, number uint16, workers int, north, south *Bus, macs [packet.NumPorts]MAC) (*Node, error) {
	n := &Node{ID: id, Number: number, sim: sim, rand: sim.Rand("node " + id)}
	if err := n.begin(workers); err != nil {
		return nil, err
	}
	for port, bus := range []*Bus{packet.North: north, packet.South: south} {
		p := bus.Attach(id, macs[port], func(frame []byte) { n.receive(packet.Port(port), frame) })
		n.Ports[port], n.links[port] = p, &link{rand: sim.Rand("link " + p.label)}
	}
	return n, nil
}

// begin makes what a life of the dataplane has: memory that is empty.
func (n *Node) begin(workers int) error {
	n.Close()
	n.Boot = n.bootID()
	n.Arena, n.Workers, n.received, n.polling = newArena(nodeBuffers), nil, nil, false
	for i := range workers {
		w, err := lbnode.NewWorker(i, nodeLimits, nodeIO{n}, flow.Seed{n.rand.Uint64(), n.rand.Uint64()})
		if err != nil {
			return fmt.Errorf("node %s: %w", n.ID, err)
		}
		n.Workers = append(n.Workers, w)
	}
	n.slow = lbnode.NewSlow(nodeIO{n}, workers)
	n.SetConfig(&lbnode.Config{Boot: n.Boot})
	return nil
}

// Close frees the workers' tables.
func (n *Node) Close() {
	for _, w := range n.Workers {
		w.Close()
	}
}

// SetConfig gives the node a prepared configuration.
func (n *Node) SetConfig(c *lbnode.Config) {
	n.epoch = c.Epoch
	for _, w := range n.Workers {
		w.SetConfig(c)
	}
	n.slow.SetConfig(c)
	n.steering = lbnode.NewSteering(c, len(n.Workers))
}

// receive takes a frame as a NIC does; a poll comes soon.
func (n *Node) receive(port packet.Port, frame []byte) {
	if n.down || n.stopped && len(n.received) >= nicQueue {
		return
	}
	b, ok := n.Arena.alloc()
	if !ok || !b.Resize(uint16(len(frame))) {
		n.sim.Violate("node %s: no buffer for a frame of %d bytes; %d are in use", n.ID, len(frame), n.Arena.inUse())
		return
	}
	copy(b.Bytes(), frame)
	b.Port = port
	n.received = append(n.received, b)
	if !n.polling {
		n.polling = true
		n.after(time.Duration(n.rand.Int64N(int64(pollTime+n.slowness))), n.poll)
	}
}

// poll runs what has been received through the workers, in bursts, and then
// their timers.
func (n *Node) poll() {
	if n.stopped {
		return
	}
	n.polling = false
	bursts := make([][]packet.Buf, len(n.Workers)+1) // the last one is the slow worker's
	for i := range n.received {
		to := n.steering.Steer(&n.received[i])
		if to == lbnode.SlowWorker {
			to = len(n.Workers)
		}
		bursts[to] = append(bursts[to], n.received[i])
	}
	n.received = n.received[:0]
	for to, all := range bursts {
		for burst := range slices.Chunk(all, burstSize) {
			if to < len(n.Workers) {
				n.Workers[to].Burst(n.now(), burst)
			} else {
				n.slow.Burst(n.now(), burst)
			}
			for _, b := range burst {
				n.settle(b)
			}
		}
	}
	n.tick()
}

// Hand gives a fast worker what the slow one has for it.
func (io nodeIO) Hand(worker int, b packet.Buf) {
	b.Port = packet.Inside
	burst := []packet.Buf{b}
	io.Workers[worker].Burst(io.now(), burst)
	io.settle(burst[0])
}

// settle does what a burst decided about one frame.
func (n *Node) settle(b packet.Buf) {
	switch b.Verdict {
	case packet.Send:
		n.transmit(b)
	case packet.Kernel:
		n.kernel(b)
	case packet.Drop:
		n.release(b)
	case packet.Held:
	default:
		n.sim.Violate("node %s: verdict %d", n.ID, b.Verdict)
	}
}

// kernel is the exception interface: datagrams go to the control plane.
func (n *Node) kernel(b packet.Buf) {
	d, ok := parseFrame(b.Bytes())
	if n.control != nil && ok && d.Proto == protoUDP {
		n.control.receive(d)
	} else {
		n.Kernel++
	}
	n.release(b)
}

// tick runs the workers' timers and plans the next time.
func (n *Node) tick() {
	if n.stopped {
		return
	}
	now := n.now()
	next := n.slow.Tick(now)
	for _, w := range n.Workers {
		next = min(next, w.Tick(now))
	}
	if n.timer != nil {
		n.timer.Stop()
	}
	n.timer = n.after(time.Duration(next-now), n.tick)
}

func (n *Node) transmit(b packet.Buf) {
	frame := slices.Clone(b.Bytes())
	n.release(b)
	if !n.down {
		n.Ports[b.Port].Send(frame)
	}
}

func (n *Node) release(b packet.Buf) {
	if !n.Arena.release(b) {
		n.sim.Violate("node %s: frame %d is freed twice", n.ID, b.Handle)
	}
}

// nodeIO is the worker's way out beside the burst in hand.
type nodeIO struct{ *Node }

func (io nodeIO) Alloc() (packet.Buf, bool) { return io.Arena.alloc() }
func (io nodeIO) Send(b packet.Buf)         { io.transmit(b) }
func (io nodeIO) Free(b packet.Buf)         { io.release(b) }
