package exploration

import (
	"fmt"
	"hash/maphash"

	"weir/dataplane/packet"
)

// world is the whole system in one state.
type world struct {
	scenario Scenario
	configs  *configs
	pool     *pool

	now     int64
	nodes   [Nodes]*node
	servers [Servers]*server
	client  clientHost
	flight  []*datagram
	members members
	noticed int64 // when the detector will tell of deaths
	settles int64 // when it will tell that nothing has changed for a lease
	routed  uint8 // nodes to which the router sends
	order   [Nodes]int
	asked   int // the server that rejects; -1: none yet

	digests          [parts]partDigest
	crashes, changes int  // that are still allowed
	shaken           bool // one of them happened
	violation        string
}

// start is the clock's first reading, ns: no other number is near it.
const start = int64(1e15)

// detection is how long a node is dead until the others learn of it, ns (S-57).
const detection = 3e8

// lease is how long nothing must have changed for the ring to count as settled, ns.
const lease = 10e9

var pastSeed = maphash.MakeSeed()

// newWorld builds the system at its start.
func newWorld(s Scenario, b Bounds, c *configs, p *pool) (*world, error) {
	p.reset()
	w := &world{scenario: s, configs: c, pool: p, now: start, crashes: b.Crashes, changes: b.Changes, asked: -1, noticed: never, members: members{alive: 7, trackers: 7, settled: true}, settles: never}
	primary, secondary := trackers(c)
	third := Nodes - primary - secondary
	w.order = [3][Nodes]int{{primary, secondary, third}, {secondary, third, primary}, {third, primary, secondary}}[s.Ingress]
	if s.Joining {
		// The node that is missing at first is one that will track the flow.
		w.members.trackers &^= 1 << primary
	}
	w.routed = w.members.alive
	for i := range w.nodes {
		n, err := newNode(w, i)
		if err != nil {
			w.close()
			return nil, fmt.Errorf("node %d: %w", i, err)
		}
		w.nodes[i] = n
		n.worker.SetConfig(c.node(i, w.members))
		n.tick()
	}
	for i := range w.servers {
		w.servers[i] = newServer(w, i)
		w.servers[i].configure(c.module(i, w.members))
	}
	w.client = clientHost{w: w}
	w.client.start()
	return w, nil
}

func (w *world) close() {
	for _, n := range w.nodes {
		if n != nil {
			n.worker.Close()
		}
	}
}

func (w *world) violate(format string, args ...any) {
	if w.violation == "" {
		w.violation = fmt.Sprintf(format, args...)
	}
}

func (w *world) greeting() []byte {
	if w.scenario.ServerFirst {
		return greeting
	}
	return nil
}

// send puts a datagram in flight.
func (w *world) send(d *datagram) { w.flight = append(w.flight, d) }

// route finds out where a node's frame goes.
func (w *world) route(frame []byte, port packet.Port) {
	mac := [6]byte(frame[:6])
	if port == packet.North {
		w.send(&datagram{to: theClient, frame: frame})
		return
	}
	for i := range w.nodes {
		if mac == southMAC(i) {
			w.send(&datagram{to: part(i), port: packet.South, frame: frame})
			return
		}
	}
	for i := range w.servers {
		if mac == serverMAC(i) {
			w.send(&datagram{to: firstServer + part(i), frame: frame})
			return
		}
	}
	w.violate("a frame goes to nobody: %x", frame)
}

// toCluster is the router: the client's packet goes to the first node of its
// order that is announced.
func (w *world) toCluster(frame []byte) {
	for _, i := range w.order {
		if w.routed&(1<<i) != 0 {
			w.send(&datagram{to: part(i), port: packet.North, frame: frame})
			return
		}
	}
}

// deliver hands a datagram to its receiver.
func (w *world) deliver(d *datagram) {
	w.touch(d.to)
	switch {
	case d.frame == nil:
		w.learn(d.to)
	case d.to.isNode():
		if n := w.nodes[d.to]; !n.dead {
			n.receive(d)
		}
	case d.to.isServer():
		w.servers[d.to-firstServer].receive(d.frame)
	default:
		seg, _, ok := segmentOf(d.frame)
		if !ok {
			w.violate("the client got a broken segment: %x", d.frame)
			return
		}
		w.client.receive(&seg)
	}
}

// learn is news of the members at one part.
func (w *world) learn(p part) {
	switch {
	case p.isNode():
		if n := w.nodes[p]; !n.dead {
			n.worker.SetConfig(w.configs.node(int(p), w.members))
			n.tick()
		}
	case p.isServer():
		w.servers[p-firstServer].configure(w.configs.module(int(p-firstServer), w.members))
	default:
		w.routed = w.members.alive
	}
}

// announce sends the news of the members to everybody: the router is told with the client's name.
func (w *world) announce() {
	for p := range theDetector {
		w.send(&datagram{to: p})
	}
}

func (w *world) crash(i int) {
	w.crashes--
	w.shaken = true
	w.touch(part(i))
	w.nodes[i].dead, w.nodes[i].due = true, never
	w.noticed = w.now + detection
}

// toggle lets a node join the ring or leave it, alive.
func (w *world) toggle(i int) {
	w.changes--
	w.shaken = true
	w.members.trackers ^= 1 << i
	w.unsettle()
}

// unsettle lets everybody know that the ring is another one.
func (w *world) unsettle() {
	w.members.settled, w.settles = false, w.now+lease
	w.announce()
}

// notice tells everybody who is dead, or that all is as it was for a lease.
func (w *world) notice() {
	if w.now >= w.settles {
		w.members.settled, w.settles = true, never
		w.announce()
	}
	if w.now < w.noticed {
		return
	}
	w.noticed = never
	for i, n := range w.nodes {
		if n.dead {
			w.members.alive &^= 1 << i
		}
	}
	w.unsettle()
}

// due is when a part's next timer fires.
func (w *world) due(p part) int64 {
	switch {
	case p.isNode():
		return w.nodes[p].due
	case p.isServer():
		s := w.servers[p-firstServer]
		return min(s.due, s.kernel.due)
	case p == theDetector:
		return min(w.noticed, w.settles)
	default:
		return w.client.due
	}
}

// next is the part whose timer fires first.
func (w *world) next() (first part, at int64) {
	at = never
	for p := range parts {
		if d := w.due(p); d < at {
			first, at = p, d
		}
	}
	return first, at
}

// tick lets time pass until the next timer, and runs all that are due then.
// What is late comes nearer.
func (w *world) tick() {
	_, at := w.next()
	w.now = max(w.now, at)
	for p := range parts {
		if w.due(p) <= w.now {
			w.fire(p)
		}
	}
	for _, d := range w.flight {
		if d.late > 0 {
			d.late--
		}
	}
}

// fire runs a part's timer.
func (w *world) fire(p part) {
	w.touch(p)
	switch {
	case p.isNode():
		w.nodes[p].tick()
	case p.isServer():
		s := w.servers[p-firstServer]
		if s.kernel.due <= w.now {
			s.kernel.tick()
		}
		s.tick()
	case p == theDetector:
		w.notice()
	default:
		w.client.tick()
	}
}
