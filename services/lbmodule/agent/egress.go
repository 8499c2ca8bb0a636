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

// Slot is an egress slot of the data path and the node that it leads to; an
// invalid address when there is none.
type Slot struct {
	Index   int
	Address netip.Addr
}

// moveSlots brings the slots up to date with who may carry replies now, and
// returns those that changed. It costs what changed, not what there is: with a
// thousand nodes the whole table would take ten milliseconds.
func (c *Core) moveSlots() (changed []Slot) {
	nodes := c.Nodes()
	var joined []*Node
	owned := make(map[netip.Addr]bool, len(nodes)) // by whom slots lead to
	for _, a := range c.slots {
		owned[a] = true
	}
	for i := range nodes {
		if n := &nodes[i]; n.Egress && !owned[n.Address] {
			joined = append(joined, n)
		}
	}
	for i, a := range c.slots {
		h := flow.Mix(uint64(i), slotSeed)
		var best *Node
		if p := c.byAddr[a]; p != nil && p.Egress {
			best = &p.Node
			for _, n := range joined {
				if rank(h, n) > rank(h, best) {
					best = n
				}
			}
		} else {
			best = bestEgress(h, nodes)
		}
		to := netip.Addr{}
		if best != nil {
			to = best.Address
		}
		if to != a {
			c.slots[i] = to
			changed = append(changed, Slot{i, to})
		}
	}
	return changed
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
