package bpf

import (
	"reflect"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"weir/dataplane/flow"
	"weir/services/lbmodule/agent"
)

// TestGoAndCAgreeOnLayouts compares what both sides read and write in maps.
func TestGoAndCAgreeOnLayouts(t *testing.T) {
	spec, err := loadWeir()
	if err != nil {
		t.Fatal(err)
	}
	value, ok := btf.UnderlyingType(spec.Maps[weirMapWeirFlows].Value).(*btf.Struct)
	if !ok {
		t.Fatal("the flow map's value is no struct")
	}
	offsets := map[string]uint32{}
	for _, m := range value.Members {
		offsets[strings.ReplaceAll(m.Name, "_", "")] = m.Offset.Bytes()
	}
	g := reflect.TypeFor[agent.Flow]()
	if uint32(g.Size()) != value.Size {
		t.Errorf("a flow has %d bytes in Go, %d in C", g.Size(), value.Size)
	}
	for i := range g.NumField() {
		f := g.Field(i)
		if f.Name == "_" {
			continue
		}
		if o, ok := offsets[strings.ToLower(f.Name)]; !ok || uintptr(o) != f.Offset {
			t.Errorf("field %s is at %d in Go, at %d in C (found: %v)", f.Name, f.Offset, o, ok)
		}
	}
	if n := spec.Maps[weirMapWeirFlows].KeySize; n != flow.KeySize {
		t.Errorf("a key has %d bytes in C", n)
	}
	counters := spec.Maps[weirMapWeirCounters].MaxEntries
	if int(counters) != len(counterNames) {
		t.Errorf("%d counters in C, %d names in Go", counters, len(counterNames))
	}
	var enum *btf.Enum
	if err := spec.Types.TypeByName("weir_counter", &enum); err != nil {
		t.Fatal(err)
	}
	for _, v := range enum.Values {
		name := strings.ToLower(strings.TrimPrefix(v.Name, "WEIR_"))
		if name != "counters" && counterNames[v.Value] != name {
			t.Errorf("counter %d is %s in C, %s in Go", v.Value, name, counterNames[v.Value])
		}
	}
	if n := spec.Maps[weirMapWeirSlots].MaxEntries; n != agent.Slots {
		t.Errorf("%d egress slots in C, %d in Go", n, agent.Slots)
	}
}

func TestFlowsAreWalkedOnceEach(t *testing.T) {
	d, err := Load(&Settings{Server: server, MaxFlows: 5000}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	f := d.Flows()
	k := key("IPv4")
	for port := range uint16(5000) {
		k.ClientPort = port
		if err := f.Put(&k, flowOf(nil)); err != nil {
			t.Fatal(err)
		}
	}
	k.ClientPort = 5000
	if err := f.Put(&k, flowOf(nil)); err == nil {
		t.Error("the map takes more than its bound")
	}
	for _, step := range []int{1, 100, 1 << 20} {
		w := f.Walker()
		seen := map[uint16]int{}
		for range 100000 {
			if w.Walk(step, func(k *flow.Key, v *agent.Flow) {
				seen[k.ClientPort]++
				if v.ServerISN != serverISN {
					t.Fatalf("value is %+v", v)
				}
			}) {
				break
			}
		}
		if len(seen) != 5000 {
			t.Errorf("steps of %d: %d of 5000 flows seen", step, len(seen))
		}
	}
	for port := range uint16(5000) {
		k.ClientPort = port
		f.Delete(&k)
	}
	if !f.Walker().Walk(10, func(*flow.Key, *agent.Flow) { t.Error("a deleted flow is visited") }) {
		t.Error("an empty map has no end")
	}
}
