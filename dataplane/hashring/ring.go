// Package hashring says which nodes track a flow, and in which order servers
// are offered a connection. Both are rendezvous hashing: every member gets a
// keyed score per flow, and the highest win. That has the successor property
// of S-70 by construction: without its primary a flow falls to its old
// secondary, and a new member can only push itself in front, so the old
// primary stays primary or becomes secondary.
package hashring

import "weir/dataplane/flow"

// None is the number of no member.
const None = 0xffff

// Member is a node that may track flows.
type Member struct {
	Number uint16
	Seed   uint64 // its identity on the ring; two members never share one
}

// Ring is immutable.
type Ring struct {
	seed    flow.Seed
	members []Member
}

// New makes a ring. The order of the members does not matter.
func New(members []Member, seed flow.Seed) *Ring {
	return &Ring{seed: seed, members: append([]Member(nil), members...)}
}

// Len is the number of members.
func (r *Ring) Len() int { return len(r.members) }

// Trackers names the primary and the secondary of a flow; None where there is
// no member left. The two never are the same node (S-5).
func (r *Ring) Trackers(k *flow.Key) (primary, secondary uint16) {
	h := flow.Hash(k, r.seed)
	primary, secondary = None, None
	var first, second uint64
	for i := range r.members {
		m := &r.members[i]
		s := flow.Mix(h, m.Seed)
		switch {
		case primary == None || s > first || s == first && m.Number < primary:
			second, secondary = first, primary
			first, primary = s, m.Number
		case secondary == None || s > second || s == second && m.Number < secondary:
			second, secondary = s, m.Number
		}
	}
	return primary, secondary
}
