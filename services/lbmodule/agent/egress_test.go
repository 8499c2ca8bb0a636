package agent

import (
	"net/netip"
	"testing"
)

func TestEgressSlotsAreSharedEvenly(t *testing.T) {
	for _, count := range []int{2, 3, 7, 20} {
		var nodes []Node
		for i := range count {
			nodes = append(nodes, Node{Number: uint16(i + 1), Address: netip.AddrFrom4([4]byte{10, 20, 0, byte(11 + i)}), Egress: true})
		}
		share := map[netip.Addr]int{}
		for _, a := range EgressSlots(nodes) {
			share[a]++
		}
		for _, n := range nodes {
			want := Slots / count
			if got := share[n.Address]; got < want*3/4 || got > want*5/4 {
				t.Errorf("of %d nodes %v has %d slots, want about %d", count, n.Address, got, want)
			}
		}
	}
}

func TestAnEgressNodeThatLeavesMovesOnlyItsSlots(t *testing.T) {
	var nodes []Node
	for i := range 5 {
		nodes = append(nodes, Node{Number: uint16(i + 1), Address: netip.AddrFrom4([4]byte{10, 20, 0, byte(11 + i)}), Egress: true})
	}
	before := EgressSlots(nodes)
	nodes[2].Egress = false
	for i, a := range EgressSlots(nodes) {
		if a == nodes[2].Address || before[i] != nodes[2].Address && a != before[i] {
			t.Errorf("slot %d moved from %v to %v", i, before[i], a)
		}
	}
}
