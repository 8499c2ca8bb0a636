package main

import (
	"context"
	"time"

	"weir/dataplane/wire"
	"weir/services/api"
	"weir/services/noded/membership"
)

// beatTimeout bounds one beat: a dataplane that takes longer is no use.
const beatTimeout = time.Second

// beat tells the dataplane in every check interval that its control plane is
// alive, and membership what the dataplane says (S-52).
func (n *node) beat(ctx context.Context) {
	for ctx.Err() == nil {
		n.mu.Lock()
		interval := n.cluster.Health.Interval
		n.mu.Unlock()
		next := time.After(interval)
		n.beatOnce(ctx)
		select {
		case <-ctx.Done():
		case <-next:
		}
	}
}

func (n *node) beatOnce(ctx context.Context) {
	flush := n.flush.Swap(false)
	r, err := n.link.beat(ctx, &api.BeatRequest{NodedBoot: n.boot, Flush: flush})
	if err != nil {
		if flush {
			n.flush.Store(true)
		}
		return
	}
	n.synced.Store(r.SyncedEpoch)
	n.loop.Do(func(now time.Duration, core *membership.Core) {
		core.Dataplane(now, r.BootId, r.Epoch, r.SyncedEpoch)
		core.Sessions(now, n.announcing())
		core.Announces(now, n.announced())
		for _, s := range r.Servers {
			core.ServerLife(now, uint16(s.Number), 0)
		}
	})
}

// announced are the numbers of the nodes that this one announces to all routers now.
func (n *node) announced() (numbers [2]uint16) {
	n.mu.Lock()
	c := n.cluster
	n.mu.Unlock()
	for i, id := range n.bgp.Announced() {
		if m := c.Member(id); m != nil && i < len(numbers) {
			numbers[i] = m.Number
		}
	}
	return numbers
}

// resume finds a dataplane that lives on from before a restart of noded, and the
// place that it has in the cluster: others are not to notice anything.
func (n *node) resume(ctx context.Context) (boot uint64, flags uint8) {
	r, err := n.link.beat(ctx, &api.BeatRequest{NodedBoot: n.boot})
	if err != nil || r.Generation == "" || !r.Tracking {
		return 0, 0
	}
	flags = wire.NodeTrack
	if r.Announced {
		flags |= wire.NodeSpeak | wire.NodeAnnounce
	}
	return r.BootId, flags
}
