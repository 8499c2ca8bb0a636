package health

import (
	"context"
	"maps"
	"slices"
	"time"

	"weir/services/noded/membership"
)

// Stats is what a Loop has seen of the others so far.
type Stats struct {
	Nodes    []NodeStats
	Checks   []Verdict         // the last one of every server that this node checks
	Events   map[string]uint64 // how often, by kind (membership.Kind)
	Counters Counters
}

// NodeStats is about the pings of one node, by side of the request.
type NodeStats struct {
	Number   uint16
	Sent     [2]uint64 // repetitions included
	Answered [2]uint64
	RTT      [2]time.Duration // of the last one that was answered
}

// pinging is the pings of one node that are under way.
type pinging struct {
	NodeStats
	nonce [2]uint64
	sent  [2]time.Duration // when nonce was first sent
}

// sent notes a ping.
func (l *Loop) sent(node uint16, side uint8, nonce uint64) {
	p := l.pings[node]
	if p == nil {
		p = &pinging{NodeStats: NodeStats{Number: node}}
		l.pings[node] = p
	}
	p.Sent[side]++
	if p.nonce[side] != nonce {
		p.nonce[side], p.sent[side] = nonce, clock()
	}
}

// answered notes an answer that membership has taken.
func (l *Loop) answered(a *membership.Pong, now time.Duration) {
	p := l.pings[a.Node]
	p.Answered[a.Side]++
	if p.nonce[a.Side] == a.Nonce {
		p.RTT[a.Side] = now - p.sent[a.Side]
	}
}

// Stats asks the thread.
func (l *Loop) Stats(ctx context.Context) (Stats, error) {
	answer := make(chan Stats, 1)
	l.inbox.post(func() {
		s := Stats{Counters: l.count, Events: maps.Clone(l.events)}
		for _, n := range slices.Sorted(maps.Keys(l.pings)) {
			s.Nodes = append(s.Nodes, l.pings[n].NodeStats)
		}
		for _, n := range slices.Sorted(maps.Keys(l.checks)) {
			s.Checks = append(s.Checks, l.checks[n])
		}
		answer <- s
	})
	select {
	case s := <-answer:
		return s, nil
	case <-ctx.Done():
		return Stats{}, ctx.Err()
	}
}
