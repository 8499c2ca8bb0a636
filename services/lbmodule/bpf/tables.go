package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"weir/services/lbmodule/agent"
)

// Configure writes nodes, egress slots, endpoints and public addresses. Each
// table changes entry by entry, new before old, so traffic never meets a gap.
func (d *Data) Configure(nodes []agent.Node, endpoints []agent.Endpoint) error {
	if err := d.setNodes(nodes); err != nil {
		return fmt.Errorf("write the table of LB nodes: %w", err)
	}
	if err := d.setSlots(agent.EgressSlots(nodes)); err != nil {
		return fmt.Errorf("write the table of egress slots: %w", err)
	}
	if err := d.setEndpoints(endpoints); err != nil {
		return fmt.Errorf("write the table of endpoints: %w", err)
	}
	return nil
}

func (d *Data) setNodes(nodes []agent.Node) error {
	want := make(map[[4]byte][4]byte, len(nodes))
	for i := range nodes {
		want[nodes[i].Address.As4()] = nodeValue(&nodes[i])
	}
	return replace(d.objs.WeirNodes, want)
}

// nodeValue is struct weir_node.
func nodeValue(n *agent.Node) (v [4]byte) {
	binary.NativeEndian.PutUint16(v[:], n.Number)
	if n.Egress {
		v[2] = 1
	}
	return v
}

// Route writes the nodes and egress slots that changed. The node's own entry
// decides first, so replies leave a dead node with the first write (S-75).
func (d *Data) Route(nodes []agent.Node, slots []agent.Slot) error {
	for i := range nodes {
		if err := d.objs.WeirNodes.Put(nodes[i].Address.As4(), nodeValue(&nodes[i])); err != nil {
			return fmt.Errorf("write the table of LB nodes: %w", err)
		}
	}
	keys, values := make([]uint32, len(slots)), make([][4]byte, len(slots))
	for i, s := range slots {
		keys[i] = uint32(s.Index)
		if s.Address.IsValid() {
			values[i] = s.Address.As4()
		}
	}
	if len(slots) > 0 {
		if _, err := d.objs.WeirSlots.BatchUpdate(keys, values, nil); err != nil {
			return fmt.Errorf("write the table of egress slots: %w", err)
		}
	}
	return nil
}

func (d *Data) setSlots(slots []netip.Addr) error {
	for i, a := range slots {
		var v [4]byte
		if a.IsValid() {
			v = a.As4()
		}
		if err := d.objs.WeirSlots.Put(uint32(i), v); err != nil {
			return err
		}
	}
	return nil
}

func (d *Data) setEndpoints(endpoints []agent.Endpoint) error {
	want := map[[20]byte]uint8{}
	vips := map[[16]byte]uint8{}
	for _, e := range endpoints {
		k := [20]byte{18: e.Proto}
		vip := e.Address.As16()
		vips[vip] = 1
		copy(k[:], vip[:])
		for p := int(e.PortFirst); p <= int(e.PortLast); p++ {
			binary.BigEndian.PutUint16(k[16:], uint16(p))
			want[k] = 1
		}
	}
	if err := replace(d.objs.WeirVips, vips); err != nil {
		return err
	}
	return replace(d.objs.WeirEndpoints, want)
}

// replace makes a hash map hold exactly want.
func replace[K, V comparable](m *ebpf.Map, want map[K]V) error {
	var stale []K
	var k K
	var v V
	it := m.Iterate()
	for it.Next(&k, &v) {
		if _, ok := want[k]; !ok {
			stale = append(stale, k)
		}
	}
	if err := it.Err(); err != nil {
		return err
	}
	for k, v := range want {
		if err := m.Put(k, v); err != nil {
			return err
		}
	}
	for _, k := range stale {
		if err := m.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}
