package lbnode

import (
	"math"

	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// slowSender is the worker's number in the headers of what a slow worker sends:
// its sequence numbers are its own.
const slowSender = maxSenderWorkers - 1

// shareDelay is how long the share of another node waits for company, in ns.
const shareDelay = 5e6

// share gathers the publications for one receiver.
type share struct {
	wire.Publications
	due int64 // ns; of no meaning while empty
}

// keep adds an entry to the share of the worker that owns its flow.
func (s *Slow) keep(e *wire.Publication) {
	i := s.publish.steering.worker(&e.Key)
	if w := &s.publish.workers[i]; !w.Add(e) {
		s.hand(i)
		w.Add(e)
	}
}

// hand gives a worker its share.
func (s *Slow) hand(i int) {
	w := &s.publish.workers[i]
	if w.Len() == 0 {
		return
	}
	defer w.Reset()
	b, ok := s.publish.io.Alloc()
	if !ok {
		s.count.add(DropNoBuffer, 1)
		return
	}
	d := w.Datagram()
	d[1] = wire.MsgPublished
	b.Resize(uint16(len(d)))
	copy(b.Bytes(), d)
	s.publish.io.Hand(i, b)
}

// forward adds an entry to the share of another node.
func (s *Slow) forward(now int64, to uint16, e *wire.Publication) {
	p := &s.publish
	n := p.view.node(to)
	if n == nil || n.Boot == 0 || p.nodes[to] == nil {
		return // not one of the living
	}
	o := p.nodes[to]
	if !o.Add(e) {
		s.send(n, o)
		o.Add(e)
	}
	if o.Len() == 1 {
		o.due = now + shareDelay
		p.waiting++
	}
}

// send sends a node its share.
func (s *Slow) send(n *nodeView, o *share) {
	p := &s.publish
	entries := uint64(o.Len())
	p.waiting--
	defer o.Reset()
	if n.MAC == (MAC{}) {
		s.count.add(DropNoNextHop, 1)
		return
	}
	b, ok := p.io.Alloc()
	if !ok {
		s.count.add(DropNoBuffer, 1)
		return
	}
	p.seq++
	d := o.Datagram()
	b.Resize(uint16(len(d)))
	copy(b.Bytes(), d)
	wire.Seal(b.Bytes(), &wire.Header{Type: wire.MsgPublished, Worker: slowSender, Role: wire.RoleNode, Sender: p.cfg.Self,
		Boot: p.view.self.Boot, Seq: p.seq, Epoch: p.cfg.Epoch, KeyID: n.keys.seal.ID}, n.keys.seal.Key)
	if packet.PrependUDP(&b, &n.target, wire.PortPublished, wire.PortPublished) != packet.OK {
		s.count.add(DropNoRoom, 1)
		p.io.Free(b)
		return
	}
	b.Port = packet.South
	s.count.add(PublicationsForwarded, entries)
	p.io.Send(b)
}

// Tick sends the shares that have waited long enough. next is when to call it
// again at the latest.
func (s *Slow) Tick(now int64) (next int64) {
	next = math.MaxInt64
	if s.publish.waiting == 0 {
		return next
	}
	for i, o := range s.publish.nodes {
		switch {
		case o == nil || o.Len() == 0:
		case o.due <= now:
			s.send(s.publish.view.nodes[i], o)
		default:
			next = min(next, o.due)
		}
	}
	return next
}
