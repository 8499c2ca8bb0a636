package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"weir/dataplane/engine"
	"weir/dataplane/lbnode"
	"weir/services/api"
)

const (
	// controlGrace is how long the control plane may be away: it restarts in
	// less, and a node that nobody controls is better gone (S-52).
	controlGrace = 3 * time.Second
	// coreGrace is how long a thread may not come round its loop. Idle ones
	// come round ten times a second.
	coreGrace     = time.Second
	vitalInterval = 50 * time.Millisecond
)

// vital judges whether this node may answer health pings.
type vital struct {
	lbnode.Vital
	beaten  atomic.Int64 // engine time of the last beat, ns; 0: never
	sick    atomic.Bool  // says the control plane
	because atomic.Pointer[string]
	loops   []loopSeen
}

// loopSeen is when a thread was last seen to come round.
type loopSeen struct {
	polls uint64
	at    int64
}

// watchVital keeps the judgement until ctx ends.
func (n *node) watchVital(ctx context.Context) {
	tick := time.NewTicker(vitalInterval)
	defer tick.Stop()
	for {
		why := n.sickness(engine.Now())
		n.vital.because.Store(&why)
		n.vital.Silent.Store(why != "")
		select {
		case <-ctx.Done():
			n.vital.Silent.Store(true)
			return
		case <-tick.C:
		}
	}
}

// sickness is why this node does not answer; empty: it does.
func (n *node) sickness(now int64) string {
	v := &n.vital
	switch last := v.beaten.Load(); {
	case last == 0:
		return "no control plane yet"
	case now-last > int64(controlGrace):
		return fmt.Sprintf("no control plane for %.1f s", float64(now-last)/1e9)
	case v.sick.Load():
		return "the control plane says so"
	}
	threads := n.engine.Stats()
	if len(v.loops) != len(threads) {
		v.loops = make([]loopSeen, len(threads))
	}
	for i, t := range threads {
		if polls := t.Counters[engine.Polls]; polls != v.loops[i].polls || v.loops[i].at == 0 {
			v.loops[i] = loopSeen{polls, now}
		} else if now-v.loops[i].at > int64(coreGrace) {
			return fmt.Sprintf("thread %s does not come round", t.Name)
		}
	}
	for side, p := range n.ports {
		if up, err := p.ID.LinkUp(); err != nil || !up {
			return sideNames[side] + " link is down"
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.desired == nil {
		return "no configuration yet"
	}
	if len(n.desired.routers) > 0 && len(n.current.Routers) == 0 {
		return "no router is resolved"
	}
	return ""
}

// Beat is the control plane's sign of life, and its look at ours.
func (n *node) Beat(_ context.Context, r *api.BeatRequest) (*api.BeatReply, error) {
	n.vital.Noded.Store(r.NodedBoot)
	n.vital.sick.Store(r.Silent)
	n.vital.beaten.Store(max(1, engine.Now()))
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.Flush {
		n.flush()
	}
	reply := &api.BeatReply{BootId: n.boot, Epoch: n.current.Epoch, Ready: !n.vital.Silent.Load()}
	if why := n.vital.because.Load(); why != nil {
		reply.SilentBecause = strings.Clone(*why)
	}
	if n.desired != nil {
		reply.Generation, reply.Announced = n.desired.generation, n.desired.announced
		for i := range n.current.Nodes {
			if m := &n.current.Nodes[i]; m.Number == n.current.Self {
				reply.Tracking = m.Tracker
			}
		}
	}
	reply.SyncedEpoch = n.current.Epoch
	for _, w := range n.workers {
		if w.Synced() != n.current.Epoch {
			reply.SyncedEpoch = 0
		}
	}
	n.seen.collect(n, reply)
	return reply, nil
}

// flush makes this a new member: nothing of what the flow tables hold is good
// any more (S-59).
func (n *node) flush() {
	n.boot = randomNumber()
	n.desired = nil
	for i, w := range n.workers {
		n.engine.OnWorker(i, w.Flush)
	}
	if err := n.rebuild(); err != nil {
		n.log.Error("rebuild the configuration after forgetting all flows", "error", err)
	}
	n.log.Warn("all flows are forgotten: this machine stood still for too long", "boot", fmt.Sprintf("%016x", n.boot))
}

// seenServers remembers which signs of life of servers were told already.
type seenServers struct{ packets, publications []uint32 }

// collect adds the servers that showed up since the last time.
func (s *seenServers) collect(n *node, reply *api.BeatReply) {
	for i := range n.current.Servers {
		number := n.current.Servers[i].Number
		for int(number) >= len(s.packets) {
			s.packets, s.publications = append(s.packets, 0), append(s.publications, 0)
		}
		var latest uint32
		for _, w := range n.workers {
			if t := w.ServerSeen(number); int32(t-latest) > 0 {
				latest = t
			}
		}
		published := n.slow.ServerSeen(number)
		if latest != s.packets[number] || published != s.publications[number] {
			reply.Servers = append(reply.Servers, &api.ServerSeen{Number: uint32(number),
				Packets: latest != s.packets[number], Publications: published != s.publications[number]})
		}
		s.packets[number], s.publications[number] = latest, published
	}
}
