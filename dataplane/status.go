package main

import (
	"context"
	"time"

	"weir/dataplane/engine"
	"weir/dataplane/lbnode"
	"weir/dataplane/neighbour"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
	"weir/services/api"
	"weir/services/version"
)

var sideNames = [packet.NumPorts]string{packet.North: "north", packet.South: "south"}

// Status reports everything that is counted and known. Counters are read while
// the threads run.
func (n *node) Status(context.Context, *api.DataplaneStatusRequest) (*api.DataplaneStatus, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &api.DataplaneStatus{
		Version: version.Version, BootId: n.boot, UptimeSeconds: time.Since(n.started).Seconds(),
		Drops: map[string]uint64{}, Counters: map[string]uint64{},
		BuffersCapacity: uint64(n.pool.Size()), BuffersFree: uint64(n.pool.Avail()),
	}
	if n.desired != nil {
		s.Generation = n.desired.generation
	}
	threads := n.engine.Stats()
	n.addCounters(s)
	n.addMessages(s)
	addThreads(s, threads)
	if err := n.addPorts(s, threads); err != nil {
		return nil, err
	}
	n.addFlows(s)
	n.addNeighbours(s)
	for i, busy := range n.busy.sample(time.Now(), threads) {
		s.Workers[i].Busy = busy
	}
	return s, nil
}

// addCounters sums what the workers count.
func (n *node) addCounters(s *api.DataplaneStatus) {
	all := []*lbnode.Counters{n.slow.Counters()}
	for _, w := range n.workers {
		all = append(all, w.Counters())
	}
	for i := range lbnode.NumCounters {
		c := lbnode.Counter(i)
		to := s.Counters
		if c.IsDrop() {
			to = s.Drops
		}
		for _, counters := range all {
			to[c.String()] += counters.Load(c)
		}
	}
}

// addMessages sums the workers' tracker messages by type.
func (n *node) addMessages(s *api.DataplaneStatus) {
	for kind := uint8(1); kind < wire.NumMsgs; kind++ {
		var in, out uint64
		for _, w := range n.workers {
			i, o := w.Messages().Load(kind)
			in, out = in+i, out+o
		}
		s.Messages = append(s.Messages, &api.MessageCount{Type: wire.MsgNames[kind], Direction: "in", Count: in},
			&api.MessageCount{Type: wire.MsgNames[kind], Direction: "out", Count: out})
	}
}

// addThreads reports the threads, and what was lost between them.
func addThreads(s *api.DataplaneStatus, threads []engine.ThreadStats) {
	for i, t := range threads {
		s.Workers = append(s.Workers, &api.Worker{Index: uint32(i), Core: int32(t.Core), Stage: t.Stage,
			Packets: t.Counters[engine.Packets], Polls: t.Counters[engine.Polls]})
		s.Drops["ring_full"] += t.Counters[engine.RingFull]
		s.Drops["exception_no_buffer"] += t.Counters[engine.KernelNoBuffer]
		s.Drops["frame_too_long"] += t.Exchange.RxOversize
		s.Counters["sleeps"] += t.Counters[engine.Sleeps]
		s.Counters["pool_empty"] += t.Exchange.NoBuffer
	}
}

func (n *node) addPorts(s *api.DataplaneStatus, threads []engine.ThreadStats) error {
	for side, p := range n.ports {
		c, err := p.Stats()
		if err != nil {
			return err
		}
		up, err := p.ID.LinkUp()
		if err != nil {
			return err
		}
		var full uint64
		for _, t := range threads {
			full += t.Exchange.TxFull[side]
		}
		s.Ports = append(s.Ports, &api.Port{Name: sideNames[side], Device: p.Device, Mac: p.MAC[:], LinkUp: up,
			RxPackets: c.RxFrames, RxBytes: c.RxBytes, RxMissed: c.RxMissed, RxErrors: c.RxErrors,
			TxPackets: c.TxFrames, TxBytes: c.TxBytes, TxErrors: c.TxErrors, TxFull: full})
		s.Drops["nic_queue_full"] += full
		x := n.taps[side].Counters()
		s.Counters["exception_to_kernel"] += x.ToKernel.Load()
		s.Counters["exception_from_kernel"] += x.FromKernel.Load()
		s.Drops["exception_kernel_full"] += x.KernelFull.Load()
		s.Drops["exception_overrun"] += x.Overrun.Load()
	}
	return nil
}

// addFlows asks every worker, between two of its bursts, how full it is.
func (n *node) addFlows(s *api.DataplaneStatus) {
	s.Flows = &api.Flows{}
	for i, w := range n.workers {
		var u lbnode.Usage
		n.engine.OnWorker(i, func() { u = w.Usage() })
		s.Flows.Established += uint64(u.Mapped)
		s.Flows.HalfOpen += uint64(u.HalfOpen)
		s.Flows.Pending += uint64(u.Pending)
		s.Flows.Capacity += uint64(u.Capacity)
		s.Flows.HalfOpenCapacity += uint64(u.HalfOpenCapacity)
	}
}

func (n *node) addNeighbours(s *api.DataplaneStatus) {
	names := map[neighbour.Target]string{}
	if n.desired != nil {
		for _, o := range n.desired.config.Nodes {
			names[neighbour.Target{Addr: o.South, Port: packet.South}] = o.ID
		}
		for _, v := range n.desired.config.Servers {
			names[neighbour.Target{Addr: v.Address, Port: packet.South}] = v.ID
		}
	}
	for _, e := range n.mirror.Entries() {
		id, ok := names[e.Target]
		if !ok {
			id = e.Addr.String()
		}
		out := &api.Neighbour{Id: id, Address: e.Addr.AsSlice(), State: e.State, Port: sideNames[e.Port]}
		if e.MAC != [6]byte{} {
			out.Mac = e.MAC[:]
		}
		s.Neighbours = append(s.Neighbours, out)
	}
}

// busyShares turns the threads' working time into a share of the recent past.
type busyShares struct {
	at    time.Time
	busy  []uint64 // ns, at that time
	share []float64
}

// sample returns each thread's share, over the second or more since the last
// sample that was as old.
func (b *busyShares) sample(now time.Time, threads []engine.ThreadStats) []float64 {
	elapsed := now.Sub(b.at)
	if len(b.share) == len(threads) && elapsed < time.Second {
		return b.share
	}
	busy, share := make([]uint64, len(threads)), make([]float64, len(threads))
	for i, t := range threads {
		busy[i] = t.Counters[engine.BusyNanos]
		if len(b.busy) == len(threads) {
			share[i] = min(1, float64(busy[i]-b.busy[i])/float64(elapsed))
		}
	}
	b.at, b.busy, b.share = now, busy, share
	return share
}
