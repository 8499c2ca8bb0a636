package exploration

import (
	"hash/maphash"
	"reflect"
	"sync"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// digest identifies a state by all that the components hold, whoever wrote
// them: fields are found by reflection, so that none is forgotten. Times count
// as what they are from now on, so that the same thing later is the same state.
type digest struct {
	maphash.Hash
	now int64
}

// unseen are the names of fields that do not decide what happens: references
// to the surroundings, what is derived from the configuration, scratch,
// counters and sequence numbers.
var unseen = map[string]bool{
	"w": true, "s": true, "io": true, "now": true, "seq": true, "count": true, "counters": true, "messages": true,
	"scores": true, "burst": true, "scratch": true, "local": true, "seed": true, "out": true, "flows": true, "sockets": true, "admission": true,
	"nodes": true, "byAddr": true, "slots": true, "inbox": true, "strays": true, "gc": true, "number": true,
	"floods": true, "unknowns": true, "repeats": true, "resets": true, "busyTill": true,
	"peers": true, "targets": true, "publisher": true, "buffer": true,
}

func (h *digest) int(v int64) { maphash.WriteComparable(&h.Hash, v) }

// near is how far from now a number can be and still be a time.
const near = int64(300e9)

// number adds a number that may be a time: in ns, in ms, or in ticks of 100 ms.
// The clock starts where no other number is.
func (h *digest) number(v int64) {
	for unit := int64(1); unit <= 1e8; unit *= 1e2 {
		if unit == 1e2 || unit == 1e4 {
			continue
		}
		if d := v - h.now/unit; d > -near/unit && d < near/unit {
			h.int(d)
			h.int(unit)
			return
		}
	}
	h.int(v)
}

func (h *digest) add(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			h.WriteByte(1)
		} else {
			h.WriteByte(0)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		h.number(v.Int())
	case reflect.Uint8:
		h.WriteByte(byte(v.Uint()))
	case reflect.Uint, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		h.number(int64(v.Uint()))
	case reflect.Float32, reflect.Float64:
		maphash.WriteComparable(&h.Hash, v.Float())
	case reflect.String:
		h.WriteString(v.String())
	case reflect.Pointer:
		h.pointer(v)
	case reflect.Struct:
		h.structure(v)
	case reflect.Array, reflect.Slice:
		h.int(int64(v.Len()))
		if v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
			h.Write(v.Bytes())
			return
		}
		for i := range v.Len() {
			if e := v.Index(i); !e.IsZero() {
				h.int(int64(i))
				h.add(e)
			}
		}
	case reflect.Map:
		var sum uint64
		for it := v.MapRange(); it.Next(); {
			one := digest{now: h.now}
			one.SetSeed(pastSeed)
			one.add(it.Key())
			one.add(it.Value())
			sum += one.Sum64()
		}
		h.int(int64(sum))
	}
}

func (h *digest) pointer(v reflect.Value) {
	switch {
	case v.IsNil():
		h.WriteByte(0)
	case v.Type() == reflect.TypeFor[*flow.Table]():
		t := (*flow.Table)(v.UnsafePointer())
		for i := range uint32(t.Slots()) {
			if t.Used(i) {
				h.int(int64(i))
				h.add(reflect.ValueOf(t.Entry(i)).Elem())
			}
		}
	case v.Elem().Type().Name() == "Config" || v.Elem().Type().Name() == "view":
		h.int(int64(v.Pointer())) // one for each membership
	default:
		h.add(v.Elem())
	}
}

func (h *digest) structure(v reflect.Value) {
	switch t := v.Type(); t.Name() {
	case "Buf":
		b := packet.Buf{Addr: uintptr(v.FieldByName("Addr").Uint()), Len: uint16(v.FieldByName("Len").Uint())}
		if b.Addr != 0 {
			h.Write(b.Bytes())
		}
	case "wheel":
		h.wheel(v)
	case "Window": // what it refuses is marked as a second copy
	case "memory":
		h.memory(v)
	case "Worker":
		h.worker(v)
	default:
		for _, i := range fieldsOf(t) {
			h.add(v.Field(i))
		}
	}
}

// seenFields are, by type, the fields that count.
var seenFields sync.Map

func fieldsOf(t reflect.Type) []int {
	if list, ok := seenFields.Load(t); ok {
		return list.([]int)
	}
	var list []int
	for i := range t.NumField() {
		if !unseen[t.Field(i).Name] {
			list = append(list, i)
		}
	}
	seenFields.Store(t, list)
	return list
}

// worker adds a worker: of the arrays beside its tables only what is in use.
func (h *digest) worker(v reflect.Value) {
	for _, i := range fieldsOf(v.Type()) {
		f := v.Field(i)
		table := ""
		if f.Kind() == reflect.Slice {
			table = map[string]string{"halfState": "half", "pendingState": "pending"}[v.Type().Field(i).Name]
		}
		if table == "" {
			h.add(f)
			continue
		}
		t := (*flow.Table)(v.FieldByName(table).UnsafePointer())
		for j := range t.Slots() {
			if t.Used(uint32(j)) {
				h.add(f.Index(j))
			}
		}
	}
}

// wheel adds the timers that are set.
func (h *digest) wheel(v reflect.Value) {
	prev, due := v.FieldByName("prev"), v.FieldByName("due")
	for i := range prev.Len() {
		if prev.Index(i).Int() != -1<<31 {
			h.int(int64(i))
			h.number(due.Index(i).Int())
		}
	}
}

// memory adds what the agent remembers of offers that are over.
func (h *digest) memory(v reflect.Value) {
	h.add(v.FieldByName("answers"))
	order, head := v.FieldByName("order"), int(v.FieldByName("head").Int())
	for i := range int(v.FieldByName("size").Int()) {
		h.add(order.Index((head + i) % order.Len()))
	}
}

// datagram adds a datagram in flight, without its sequence number and tag.
func (h *digest) datagram(d *datagram) {
	h.int(int64(d.to)<<16 | int64(d.port)<<8 | int64(d.late))
	h.add(reflect.ValueOf(d.again))
	const body = packet.TunnelSize
	if len(d.frame) < body+wire.HeaderSize || d.frame[packet.EthernetSize+9] != packet.ProtoUDP || d.frame[body]>>4 == 4 {
		h.Write(d.frame)
		return
	}
	h.Write(d.frame[:body+16])
	h.Write(d.frame[body+24 : body+32])
	h.Write(d.frame[body+wire.HeaderSize:])
}

// partDigest is the digest of a part, good until it is touched or time passes.
type partDigest struct {
	sum uint64
	now int64 // 0: not known
}

// touch says that a part may have changed.
func (w *world) touch(p part) { w.digests[p].now = 0 }

func (w *world) partSum(p part) uint64 {
	d := &w.digests[p]
	if d.now == w.now {
		return d.sum
	}
	h := digest{now: w.now}
	h.SetSeed(pastSeed)
	switch {
	case p.isNode():
		if n := w.nodes[p]; !n.dead {
			h.add(reflect.ValueOf(n.worker))
			h.number(n.due)
		}
	case p.isServer():
		h.add(reflect.ValueOf(w.servers[p-firstServer]).Elem())
	default:
		h.add(reflect.ValueOf(&w.client).Elem())
	}
	*d = partDigest{h.Sum64(), w.now}
	return d.sum
}

// hash identifies the state of the world.
func (w *world) hash() uint64 {
	h := digest{now: w.now}
	h.SetSeed(pastSeed)
	for p := range theDetector {
		h.int(int64(w.partSum(p)))
	}
	for _, d := range w.flight {
		h.datagram(d)
	}
	h.int(int64(w.members.alive)<<16 | int64(w.members.trackers)<<8)
	h.add(reflect.ValueOf(w.members.settled))
	h.number(w.noticed)
	h.number(w.settles)
	for _, v := range []int{w.crashes, w.changes, w.asked, int(w.routed)} {
		h.int(int64(v))
	}
	return h.Sum64()
}
