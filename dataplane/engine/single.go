package engine

import (
	"slices"

	"weir/dataplane/dpdk"
	"weir/dataplane/packet"
)

// single runs every stage on one thread: small machines and labs.
type single struct {
	e            *Engine
	x            *dpdk.Exchange
	io           *IO
	worker, slow Stage
	to           [Burst]int8
	fast, rest   [Burst]packet.Buf
}

func (e *Engine) buildSingle() error {
	core := -1
	if len(e.cfg.Layout.Workers) > 0 {
		core = e.cfg.Layout.Workers[0]
	}
	ids := e.portIDs()
	x, err := dpdk.NewExchange(e.cfg.Pool, ids, ids, true)
	if err != nil {
		return err
	}
	t, err := newThread("all", 0, core, x, e.cfg.Poll)
	if err != nil {
		return err
	}
	for _, p := range e.cfg.Ports {
		t.watch(p)
	}
	io := &IO{x: x, taps: e.cfg.Exceptions, inside: make([]packet.Buf, 0, ringSize), counts: &t.counts}
	t.body = &single{e: e, x: x, io: io}
	e.threads, e.workers, e.slow, e.ios, e.slowIO = []*thread{t}, []*thread{t}, t, []*IO{io}, io
	return nil
}

// portIDs are the DPDK ports of both sides.
func (e *Engine) portIDs() (ids dpdk.Ports) {
	for side, p := range e.cfg.Ports {
		ids[side] = p.ID
	}
	return ids
}

func (s *single) step(now int64) int {
	rx := s.x.Run()
	n := len(rx)
	if n > 0 {
		to := s.to[:n]
		s.e.steer.Load().Steer(rx, to)
		fast, rest := s.split(rx, to)
		if len(fast) > 0 {
			s.worker.Burst(now, fast)
			s.io.dispatch(fast)
		}
		if len(rest) > 0 {
			s.slow.Burst(now, rest)
			s.io.dispatch(rest)
		}
	}
	s.takeInside(now)
	return n + s.io.fromKernel()
}

// takeInside gives the worker what the slow one handed over.
func (s *single) takeInside(now int64) {
	for bufs := range slices.Chunk(s.io.inside, Burst) {
		s.worker.Burst(now, bufs)
		s.io.dispatch(bufs)
	}
	s.io.inside = s.io.inside[:0]
}

// split separates the worker's frames from the slow worker's, each in order.
// Most bursts hold no frame for the slow worker and are taken as they are.
func (s *single) split(rx []packet.Buf, to []int8) (fast, rest []packet.Buf) {
	i := 0
	for i < len(rx) && to[i] != Slow {
		i++
	}
	if i == len(rx) {
		return rx, nil
	}
	f := copy(s.fast[:], rx[:i])
	r := 0
	for ; i < len(rx); i++ {
		if to[i] == Slow {
			s.rest[r] = rx[i]
			r++
		} else {
			s.fast[f] = rx[i]
			f++
		}
	}
	return s.fast[:f], s.rest[:r]
}

func (s *single) tick(now int64) int64 {
	return min(s.worker.Tick(now), s.slow.Tick(now))
}

func (s *single) waiting() bool { return len(s.io.inside) > 0 || s.io.fromKernelWaits() }
