package engine

import (
	"fmt"

	"weir/dataplane/dpdk"
	"weir/dataplane/packet"
)

// buildPipeline makes the threads from the NICs outwards: transmitters first,
// because workers need their rings, then the slow worker, workers, receivers.
func (e *Engine) buildPipeline() error {
	l := e.cfg.Layout
	if len(l.RX) > int(packet.NumPorts) || len(l.TX) < 1 || len(l.TX) > int(packet.NumPorts) || len(l.Workers) < 1 || len(l.Workers) > MaxWorkers {
		return fmt.Errorf("a pipeline has 1 or 2 receive cores, 1 or 2 transmit cores and 1 to %d workers", MaxWorkers)
	}
	tx, err := e.buildTransmitters()
	if err != nil {
		return err
	}
	slow, err := e.buildWorker(&slowWorker{}, "slow", 0, -1, tx)
	if err != nil {
		return err
	}
	e.slow = slow
	slowBody := slow.body.(*slowWorker)
	slowBody.io.taps = e.cfg.Exceptions
	var workers []*thread
	e.ios, e.slowIO = nil, slowBody.io // the slow worker's own is not among the fast workers'
	for i, core := range l.Workers {
		t, err := e.buildWorker(&worker{}, "worker", i, core, tx)
		if err != nil {
			return err
		}
		io := t.body.(*worker).io
		io.kernel = e.outlet(slow, &slowBody.toKernel)
		slowBody.io.hands = append(slowBody.io.hands, e.outlet(t, &t.body.(*worker).in))
		workers = append(workers, t)
	}
	e.workers = workers
	return e.buildReceivers(slowBody)
}

// sides are the ports that the i-th of n threads serves: one thread serves
// both, two one each.
func sides(i, n int) []packet.Port {
	if n == 1 {
		return []packet.Port{packet.North, packet.South}
	}
	return []packet.Port{packet.Port(i)}
}

var noPorts = dpdk.Ports{dpdk.NoPort, dpdk.NoPort}

// some is ids with only the given sides left.
func some(ids dpdk.Ports, sides []packet.Port) dpdk.Ports {
	out := noPorts
	for _, s := range sides {
		out[s] = ids[s]
	}
	return out
}

func (e *Engine) buildTransmitters() (bySide [packet.NumPorts]*thread, err error) {
	cores := e.cfg.Layout.TX
	for i, core := range cores {
		x, err := dpdk.NewExchange(e.cfg.Pool, noPorts, some(e.portIDs(), sides(i, len(cores))), false)
		if err != nil {
			return bySide, err
		}
		t, err := e.thread("tx", i, core, x)
		if err != nil {
			return bySide, err
		}
		t.body = &transmitter{x: x}
		for _, s := range sides(i, len(cores)) {
			bySide[s] = t
		}
	}
	return bySide, nil
}

// buildWorker makes a worker or slow worker with outlets to the transmitters.
func (e *Engine) buildWorker(b body, stage string, i, core int, tx [packet.NumPorts]*thread) (*thread, error) {
	x, err := dpdk.NewExchange(e.cfg.Pool, noPorts, noPorts, true)
	if err != nil {
		return nil, err
	}
	t, err := e.thread(stage, i, core, x)
	if err != nil {
		return nil, err
	}
	io := &IO{x: x, counts: &t.counts}
	for side, to := range tx {
		io.out[side] = e.outlet(to, &to.body.(*transmitter).in)
	}
	switch b := b.(type) {
	case *worker:
		b.x, b.io = x, io
	case *slowWorker:
		b.x, b.io = x, io
	}
	t.body = b
	e.ios = append(e.ios, io)
	return t, nil
}

func (e *Engine) buildReceivers(slow *slowWorker) error {
	cores := e.cfg.Layout.RX
	for i, core := range cores {
		x, err := dpdk.NewExchange(e.cfg.Pool, some(e.portIDs(), sides(i, len(cores))), noPorts, false)
		if err != nil {
			return err
		}
		t, err := e.thread("rx", i, core, x)
		if err != nil {
			return err
		}
		r := &receiver{e: e, x: x, io: &IO{x: x, counts: &t.counts}}
		for _, w := range e.workers {
			r.workers = append(r.workers, e.outlet(w, &w.body.(*worker).in))
		}
		r.slow = e.outlet(e.slow, &slow.in)
		t.body = r
		for _, s := range sides(i, len(cores)) {
			t.watch(e.cfg.Ports[s])
		}
	}
	return nil
}

// thread makes a thread of the engine.
func (e *Engine) thread(stage string, i, core int, x *dpdk.Exchange) (*thread, error) {
	t, err := newThread(stage, i, core, x, e.cfg.Poll)
	if err != nil {
		return nil, err
	}
	e.threads = append(e.threads, t)
	return t, nil
}

// outlet makes a ring that ends in to's list of inputs.
func (e *Engine) outlet(to *thread, in *[]*Ring) *outlet {
	r := NewRing(ringSize)
	*in = append(*in, r)
	e.rings = append(e.rings, r)
	return &outlet{ring: r, wake: to.wake}
}

// setStages gives every worker its stage.
func (e *Engine) setStages(workers []Stage, slow Stage) {
	for i, t := range e.workers {
		switch b := t.body.(type) {
		case *single:
			b.worker = workers[i]
		case *worker:
			b.stage = workers[i]
		}
	}
	switch b := e.slow.body.(type) {
	case *single:
		b.slow = slow
	case *slowWorker:
		b.stage = slow
	}
}
