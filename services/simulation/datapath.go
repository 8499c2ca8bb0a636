package simulation

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/cilium/ebpf/ringbuf"

	"weir/dataplane/flow"
	"weir/services/lbmodule/agent"
	"weir/services/lbmodule/bpf"
)

// datapath is the module's eBPF object, as it ships, run by the kernel on one
// frame at a time and with the run's clock (S-90). Where tc would pass a frame
// on, this does.
type datapath struct {
	server  *Server
	address netip.Addr
	data    *bpf.Data
	reports *ringbuf.Reader
}

const (
	maxServerFlows = 16384
	agentFrame     = 256 // how much of a frame the agent reads
	strayRecord    = 56  // struct weir_stray: key 40, node 4, sequence 4, acknowledgement 4, flags 1, zero 3
)

// idle holds data paths that no run uses, by server address: it takes the
// kernel longer to verify the programs than to run most tests.
var (
	idleLock sync.Mutex
	idle     = map[netip.Addr][]*datapath{}
)

func newDatapath(s *Server) (*datapath, error) {
	idleLock.Lock()
	defer idleLock.Unlock()
	if list := idle[s.address]; len(list) > 0 {
		d := list[len(list)-1]
		idle[s.address] = list[:len(list)-1]
		d.server = s
		return d, nil
	}
	data, err := bpf.Load(&bpf.Settings{Server: s.address, FabricIndex: 2, OwnIndex: 3, PeerIndex: 4,
		OwnMAC: serverMAC(int(s.number)), MaxFlows: maxServerFlows, VirtualClock: true}, "")
	if err != nil {
		return nil, fmt.Errorf("load the module's data path, which needs root: %w", err)
	}
	reports, err := data.Strays()
	if err != nil {
		return nil, errors.Join(err, data.Close())
	}
	return &datapath{server: s, address: s.address, data: data, reports: reports}, nil
}

// close forgets all flows and leaves the programs to the next run.
func (d *datapath) close() {
	for _, k := range d.list() {
		d.Delete(&k)
	}
	d.server = nil
	idleLock.Lock()
	defer idleLock.Unlock()
	idle[d.address] = append(idle[d.address], d)
}

func (d *datapath) configure(c *agent.Config) error { return d.data.Configure(c.Nodes, c.Endpoints) }

// run sets the clock, and runs one program. Nothing that the kernel can refuse
// is left to chance, so a refusal is a violation.
func (d *datapath) run(program func([]byte) (bpf.Verdict, []byte, error), frame []byte) (bpf.Verdict, []byte) {
	if err := d.data.SetClock(d.server.sim.Now()); err != nil {
		d.server.sim.Violate("server %s: set the clock: %v", d.server.ID, err)
	}
	v, out, err := program(frame)
	if err != nil {
		d.server.sim.Violate("server %s: %v", d.server.ID, err)
		return bpf.Drop, nil
	}
	return v, out
}

// fromFabric is the fabric interface.
func (d *datapath) fromFabric(frame []byte) {
	switch v, out := d.run(d.data.Ingress, frame); v {
	case bpf.Redirect:
		d.server.deliver(slices.Clone(out[ethernetSize:]))
	case bpf.Pass:
		d.server.datagram(frame)
	case bpf.Drop:
		d.strays()
	default:
		d.server.sim.Violate("server %s: the ingress program says %d", d.server.ID, v)
	}
}

// fromKernel is weir0, the way of everything that the stack sends from a
// public address.
func (d *datapath) fromKernel(ip []byte) {
	switch v, out := d.run(d.data.Egress, ethernet(MAC{}, MAC{}, ip)); v {
	case bpf.Redirect:
		if outer, ok := parseFrame(out); ok {
			d.server.transmit(outer.Dst.Addr(), slices.Clone(out[ethernetSize:]))
		} else {
			d.server.sim.Violate("server %s: no IP packet after encapsulation: %x", d.server.ID, out)
		}
	case bpf.Pass:
		frame := slices.Clone(out[:min(len(out), agentFrame)])
		d.server.post(func(now int64) { d.server.Agent.Frame(now, frame) })
	case bpf.Drop:
	default:
		d.server.sim.Violate("server %s: the egress program says %d", d.server.ID, v)
	}
}

// inject is weir1, the agent's way into the kernel.
func (d *datapath) inject(frame []byte, kind agent.InjectKind) {
	v, out := d.run(func(f []byte) (bpf.Verdict, []byte, error) { return d.data.Inject(f, kind) }, frame)
	if v == bpf.Pass {
		d.server.Host.Input(slices.Clone(out[ethernetSize:]))
	}
}

// strays passes on what the ingress program has to tell the agent.
func (d *datapath) strays() {
	for d.reports.AvailableBytes() > 0 {
		record, err := d.reports.Read()
		if err != nil || len(record.RawSample) < strayRecord {
			d.server.sim.Violate("server %s: report of a stray: %x, %v", d.server.ID, record.RawSample, err)
			return
		}
		b := record.RawSample
		s := &agent.Stray{From: netip.AddrFrom4([4]byte(b[40:])), Seq: binary.NativeEndian.Uint32(b[44:]), Ack: binary.NativeEndian.Uint32(b[48:]), Flags: b[52]}
		s.Key.Get(b)
		d.server.post(func(now int64) { d.server.Agent.Stray(now, s) })
	}
}

// Get, Put, Delete: the agent works on the very map of the programs.
func (d *datapath) Get(k *flow.Key) (agent.Flow, bool)   { return d.data.Flows().Get(k) }
func (d *datapath) Put(k *flow.Key, f *agent.Flow) error { return d.data.Flows().Put(k, f) }
func (d *datapath) Delete(k *flow.Key)                   { d.data.Flows().Delete(k) }

// Walker begins a walk of its own.
func (d *datapath) Walker() agent.Walker { return &walk{d: d} }

// walk goes through a data path's map.
type walk struct {
	d    *datapath
	left []flow.Key // what the round under way has still to visit
}

// Walk visits the map in the order of its keys: the kernel's own order follows
// from a random seed of each map, which would make every run another one.
func (w *walk) Walk(n int, visit func(k *flow.Key, f *agent.Flow)) (end bool) {
	if len(w.left) == 0 {
		w.left = w.d.list()
	}
	now := w.left[:min(n, len(w.left))]
	w.left = w.left[len(now):]
	for i := range now {
		if f, ok := w.d.Get(&now[i]); ok {
			visit(&now[i], &f)
		}
	}
	return len(w.left) == 0
}

// list is the keys of all flows, in order.
func (d *datapath) list() (all []flow.Key) {
	w := d.data.Flows().Walker()
	for !w.Walk(maxServerFlows, func(k *flow.Key, _ *agent.Flow) { all = append(all, *k) }) {
	}
	slices.SortFunc(all, func(a, b flow.Key) int {
		var x, y [flow.KeySize]byte
		a.Put(x[:])
		b.Put(y[:])
		return bytes.Compare(x[:], y[:])
	})
	return all
}
