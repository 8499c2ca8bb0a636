package exploration

import (
	"weir/dataplane/flow"
	"weir/dataplane/lbnode"
	"weir/dataplane/packet"
)

// limits of a worker: one flow needs little, and little is made quickly.
var limits = lbnode.Limits{Flows: 16, HalfOpen: 16, Held: 16}

// node is an LB node of one worker.
type node struct {
	w      *world
	number int
	worker *lbnode.Worker
	due    int64
	dead   bool
}

func newNode(w *world, number int) (*node, error) {
	n := &node{w: w, number: number}
	var err error
	n.worker, err = lbnode.NewWorker(0, limits, n, flow.Seed{uint64(number), 99})
	return n, err
}

// Alloc, Send and Free are the worker's IO.
func (n *node) Alloc() (packet.Buf, bool) { return n.w.pool.alloc() }
func (n *node) Free(b packet.Buf)         { n.w.pool.release(b) }
func (n *node) Send(b packet.Buf) {
	n.w.route(append([]byte(nil), b.Bytes()...), b.Port)
	n.w.pool.release(b)
}

func (n *node) receive(d *datagram) {
	one := [1]packet.Buf{n.w.pool.load(d.frame, d.port)}
	n.worker.Burst(n.w.now, one[:])
	switch one[0].Verdict {
	case packet.Send:
		n.Send(one[0])
	case packet.Held:
	default:
		n.w.pool.release(one[0])
	}
	n.tick()
}

func (n *node) tick() { n.due = n.worker.Tick(n.w.now) }
