package bpf

import (
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"

	"weir/dataplane/flow"
	"weir/services/lbmodule/agent"
)

const flowSize = int(unsafe.Sizeof(agent.Flow{}))

// Flows is the kernel's flow map as the agent uses it.
type Flows struct{ m *ebpf.Map }

// walker is a walk through the map.
type walker struct {
	m      *ebpf.Map
	cursor *ebpf.MapBatchCursor
	keys   [][flow.KeySize]byte
	values [][flowSize]byte
}

// minBatch is more than one bucket of the kernel's hash map ever holds; a
// bucket comes whole or not at all.
const minBatch = 256

// Get reads one flow.
func (f *Flows) Get(k *flow.Key) (agent.Flow, bool) {
	var key [flow.KeySize]byte
	var v agent.Flow
	k.Put(key[:])
	err := f.m.Lookup(key[:], bytesOf(&v))
	return v, err == nil
}

// Put creates or replaces a flow; agent.ErrFull at the map's bound.
func (f *Flows) Put(k *flow.Key, v *agent.Flow) error {
	var key [flow.KeySize]byte
	k.Put(key[:])
	if err := f.m.Put(key[:], bytesOf(v)); err != nil {
		return fmt.Errorf("%w: %w", agent.ErrFull, err)
	}
	return nil
}

// Delete removes a flow if it is there.
func (f *Flows) Delete(k *flow.Key) {
	var key [flow.KeySize]byte
	k.Put(key[:])
	_ = f.m.Delete(key[:]) // all it can say is that there was none
}

// Walker begins a walk.
func (f *Flows) Walker() agent.Walker { return &walker{m: f.m} }

// Walk visits about n flows; see agent.Walker.
func (f *walker) Walk(n int, visit func(k *flow.Key, v *agent.Flow)) (end bool) {
	if f.cursor == nil {
		f.cursor = new(ebpf.MapBatchCursor)
	}
	n = max(min(n, int(f.m.MaxEntries())), minBatch)
	if len(f.keys) < n {
		f.keys, f.values = make([][flow.KeySize]byte, n), make([][flowSize]byte, n)
	}
	got, err := f.m.BatchLookup(f.cursor, f.keys[:n], f.values[:n], nil)
	for i := range got {
		var k flow.Key
		k.Get(f.keys[i][:])
		v := *(*agent.Flow)(unsafe.Pointer(&f.values[i]))
		visit(&k, &v)
	}
	if err == nil {
		return false
	}
	f.cursor = nil // the end is an error too: ErrKeyNotExist
	return true
}

func bytesOf(v *agent.Flow) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), flowSize)
}
