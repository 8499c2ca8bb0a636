package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"weir/services/api"
	"weir/services/config"
)

var (
	nodeHealthy   = describe("node_healthy", "1 when the node is healthy, as this node sees it.", "node")
	nodePhase     = describe("node_phase", "1 for the phase between joining and leaving that the node is in.", "node", "phase")
	nodeShare     = describe("node_ring_share", "Share of flows whose primary tracker the node is.", "node")
	serverHealthy = describe("server_healthy", "1 when the server gets offers, as this node sees it.", "server")
	serverDead    = describe("server_dead", "1 when the server's connections are reset, for want of any sign of life.", "server")
	pingsSent     = describe("pings_sent_total", "Health pings to a node, repetitions included, by side of the request.", "node", "side")
	pingsAnswered = describe("pings_answered_total", "Health pings that a node answered, by side of the request.", "node", "side")
	pingTime      = describe("ping_rtt_seconds", "Time of the last health ping that was answered, by side of the request.", "node", "side")
	memberEvents  = describe("membership_events_total", "What membership found out, by kind.", "event")
	memberDrops   = describe("membership_drops_total", "Datagrams of membership that went no further, by reason.", "reason")
	ringEpoch     = describe("ring_epoch", "Name of the ring that this node sees: nodes with another one disagree.")
	ringSynced    = describe("ring_synced", "1 when this node has handed every flow on that the last change of the ring moved.")
	ringSettled   = describe("ring_settled", "1 when the ring has been the same for longer than a lease.")
	isolated      = describe("node_isolated", "1 when this node is cut off from all others.")

	healthDescriptions = []*prometheus.Desc{nodeHealthy, nodePhase, nodeShare, serverHealthy, serverDead, pingsSent, pingsAnswered, pingTime,
		memberEvents, memberDrops, ringEpoch, ringSynced, ringSettled, isolated}
)

// sides are those of a ping's request, wire.PingNorth and wire.PingSouth.
var sides = [2]string{"north", "south"}

// collectHealth reads what membership knows.
func (n *node) collectHealth(c *config.Cluster, gauge func(*prometheus.Desc, float64, ...string), counter func(*prometheus.Desc, uint64, ...string)) {
	seen, v := n.stats(context.Background()), n.membership()
	names := map[uint16]string{}
	for _, m := range n.nodeViews(c, &seen) {
		names[uint16(m.Number)] = m.Id
		gauge(nodeHealthy, truth(m.Health == api.HealthHealthy), m.Id)
		gauge(nodeShare, m.RingShare, m.Id)
		if m.Phase != "" {
			gauge(nodePhase, 1, m.Id, m.Phase)
		}
	}
	for _, s := range n.serverViews(c, &seen) {
		gauge(serverHealthy, truth(s.Health == api.HealthHealthy), s.Id)
		gauge(serverDead, truth(s.Dead), s.Id)
	}
	for _, p := range seen.Nodes {
		id := names[p.Number]
		if id == "" {
			continue // no longer in the cluster file
		}
		for side, name := range sides {
			counter(pingsSent, p.Sent[side], id, name)
			counter(pingsAnswered, p.Answered[side], id, name)
			gauge(pingTime, p.RTT[side].Seconds(), id, name)
		}
	}
	for kind, count := range seen.Events {
		counter(memberEvents, count, kind)
	}
	for reason, count := range map[string]uint64{"bad_tag": seen.Counters.BadTag, "malformed": seen.Counters.Malformed,
		"stranger": seen.Counters.Stranger, "stale": seen.Counters.Stale, "no_router": seen.Counters.NoRouter} {
		counter(memberDrops, count, reason)
	}
	gauge(ringEpoch, float64(v.Epoch))
	gauge(ringSynced, truth(n.synced.Load() == v.Epoch))
	gauge(ringSettled, truth(v.Settled))
	gauge(isolated, truth(v.Isolated))
}
