package agent

import (
	"net/netip"

	"weir/dataplane/flow"
)

// Trace is what is known of one connection, nodes by number.
type Trace struct {
	State                               string // offered, pending, established, closing
	Ingress, Egress, Primary, Secondary uint16
	ClientISN, ServerISN                uint32
}

// Trace looks a connection up.
func (c *Core) Trace(k *flow.Key) (Trace, bool) {
	if h := c.handshakes[*k]; h != nil && !h.answer {
		m := &h.offer
		return Trace{State: "offered", Ingress: m.Ingress, Egress: NoNode, Primary: m.Primary, Secondary: m.Secondary,
			ClientISN: m.ClientISN, ServerISN: m.ServerISN}, true
	}
	f, ok := c.flows.Get(k)
	if !ok {
		return Trace{}, false
	}
	t := Trace{State: "pending", Ingress: f.Ingress, Egress: c.egressOf(&f), Primary: f.Primary, Secondary: f.Secondary,
		ClientISN: f.ClientISN, ServerISN: f.ServerISN}
	switch {
	case f.Closing():
		t.State = "closing"
	case f.State == Established:
		t.State = "established"
	}
	return t, true
}

// egressOf is the node that a flow's packets leave through now: the data path
// decides the same way.
func (c *Core) egressOf(f *Flow) uint16 {
	slot := uint16(NoNode)
	for _, n := range c.peers {
		if n.Egress && n.Address == netip.AddrFrom4(f.Egress) {
			return n.Number
		}
		if n.Address == c.slots[f.Slot%Slots] {
			slot = n.Number
		}
	}
	return slot
}
