package agent

import (
	"net/netip"

	"weir/dataplane/flow"
)

// Slots is how many egress slots the data path has.
const Slots = 4096

// slotSeed makes hashes of slot numbers. It must not be a constant of flow.Mix
// itself, whose product would then be zero for every slot.
const slotSeed = 0xd6e8feb86659fd93

// rank is a node's score for a flow or slot: the highest wins (rendezvous
// hashing), so a change of the node list moves only what it must.
func rank(h uint64, n *Node) uint64 { return flow.Mix(h, (uint64(n.Number)+1)*0x9e3779b97f4a7c15) }

func bestEgress(h uint64, nodes []Node) (best *Node) {
	var top uint64
	for i := range nodes {
		n := &nodes[i]
		if !n.Egress {
			continue
		}
		if r := rank(h, n); best == nil || r > top {
			best, top = n, r
		}
	}
	return best
}

// EgressSlots is the table that serves flows whose own egress node is gone
// (S-75): one address per slot; invalid addresses when no node is left.
func EgressSlots(nodes []Node) []netip.Addr {
	t := make([]netip.Addr, Slots)
	for i := range t {
		if n := bestEgress(flow.Mix(uint64(i), slotSeed), nodes); n != nil {
			t[i] = n.Address
		}
	}
	return t
}

// chooseEgress fills the fields of f that decide its way north (S-23): the
// node of its slot now, for life while that node is healthy. The outer source
// port carries the flow's hash, so the fabric spreads flows.
func (c *Core) chooseEgress(k *flow.Key, f *Flow) {
	h := flow.Hash(k, c.cfg.Seed)
	f.Slot = uint16(h % Slots)
	f.SourcePort = 49152 + uint16(h>>32)&0x3fff
	if a := c.slots[f.Slot]; a.IsValid() {
		f.Egress = a.As4()
	}
}
