package agent

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// rig is a core with a scripted kernel, map and network around it.
type rig struct {
	t       *testing.T
	core    *Core
	now     int64
	flows   map[flow.Key]Flow
	order   []flow.Key // of the map
	bound   int
	socket  SocketState
	refuse  uint8 // what admission says
	sent    []sent
	words   []datagram // every other datagram
	seqs    uint64     // of the nodes
	routed  []Slot
	moved   []Node
	frames  []injected
	counted int // accepted connections
}

type sent struct {
	to netip.Addr
	m  wire.Tracker
}

type datagram struct {
	from uint16
	to   netip.AddrPort
	d    []byte
}

type injected struct {
	in   packet.Info
	opts packet.TCPOptions
	kind InjectKind
}

var (
	lb1   = netip.MustParseAddr("10.20.0.11")
	lb2   = netip.MustParseAddr("10.20.0.12")
	tuple = flow.MakeKey(netip.MustParseAddrPort("198.51.100.10:40000"), netip.MustParseAddrPort("203.0.113.10:80"), 6)
)

func config() *Config {
	return &Config{
		Server: 7, Boot: 99, WScale: 7, Seed: flow.Seed{1, 2},
		Keys: []wire.ControlKey{{ID: 3, Key: wire.Key{K0: 4, K1: 5}}}, Ring: flow.Seed{3, 4},
		Nodes: []Node{{Number: 1, Address: lb1, Boot: 11, Egress: true, Tracker: true, Seed: 101},
			{Number: 2, Address: lb2, Boot: 12, Egress: true, Tracker: true, Seed: 102}},
		Endpoints: []Endpoint{
			{Address: netip.MustParseAddr("203.0.113.10"), Proto: 6, PortFirst: 80, PortLast: 90, AcceptAfter: 2},
			{Address: netip.MustParseAddr("2001:db8:100::10"), Proto: 6, PortFirst: 80, PortLast: 80},
		},
	}
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, now: 1e9, flows: map[flow.Key]Flow{}, bound: 100}
	r.core = New(config(), r, r, r, r)
	r.core.Recover(r.now)
	return r
}

// Output.

func (r *rig) Send(from uint16, to netip.AddrPort, d []byte) {
	if to.Port() != wire.PortTracker {
		r.words = append(r.words, datagram{from, to, bytes.Clone(d)})
		return
	}
	var m wire.Tracker
	n := r.node(to.Addr())
	if err := wire.GetTracker(bytes.Clone(d), &m, r.pairKey(r.self(), n)); err != nil {
		r.t.Errorf("the message to %s does not open: %v", to, err)
	}
	r.sent = append(r.sent, sent{to.Addr(), m})
}

func (r *rig) Route(nodes []Node, slots []Slot) {
	r.moved, r.routed = append(r.moved, nodes...), append(r.routed, slots...)
}

// node is the end of a pair that has an address.
func (r *rig) node(a netip.Addr) wire.Peer {
	for i := range r.core.cfg.Nodes {
		if n := &r.core.cfg.Nodes[i]; n.Address == a {
			return wire.Peer{Role: wire.RoleNode, Number: n.Number, Boot: r.core.nodes[n.Number].Boot}
		}
	}
	r.t.Fatalf("no node has address %s", a)
	return wire.Peer{}
}

func (r *rig) self() wire.Peer {
	return wire.Peer{Role: wire.RoleServer, Number: r.core.cfg.Server, Boot: r.core.cfg.Boot}
}

func (r *rig) pairKey(from, to wire.Peer) wire.Key {
	return wire.PairKey(r.core.cfg.Keys[0].Key, from, to)
}

func (r *rig) Inject(frame []byte, kind InjectKind) {
	var f injected
	f.kind = kind
	if st := packet.Parse(frame, &f.in); st != packet.OK || !packet.VerifyTCP(frame, &f.in) {
		r.t.Errorf("bad injected frame: %s % x", st, frame)
	}
	packet.ParseTCPOptions(f.in.Options(frame), &f.opts)
	r.frames = append(r.frames, f)
	var k flow.Key
	f.in.Key(&k)
	if fl, ok := r.flows[k]; ok && kind == Handshake && fl.State == Pending {
		fl.State = Established // as the data path does
		r.flows[k] = fl
	}
}

// Flows.

func (r *rig) Get(k *flow.Key) (Flow, bool) { f, ok := r.flows[*k]; return f, ok }

func (r *rig) Put(k *flow.Key, f *Flow) error {
	if _, there := r.flows[*k]; !there {
		if len(r.flows) >= r.bound {
			return ErrFull
		}
		r.order = append(r.order, *k)
	}
	r.flows[*k] = *f
	return nil
}

func (r *rig) Delete(k *flow.Key) {
	delete(r.flows, *k)
	r.order = slices.DeleteFunc(r.order, func(o flow.Key) bool { return o == *k })
}

func (r *rig) Walker() Walker { return &walker{r: r} }

// walker goes through the map in the order in which it was filled.
type walker struct {
	r    *rig
	next int
}

func (w *walker) Walk(n int, visit func(*flow.Key, *Flow)) bool {
	for range n {
		if w.next >= len(w.r.order) {
			break
		}
		k := w.r.order[w.next]
		w.next++
		f := w.r.flows[k]
		visit(&k, &f)
	}
	if w.next < len(w.r.order) {
		return false
	}
	w.next = 0
	return true
}

// Sockets and Admission.

func (r *rig) Lookup(*flow.Key) SocketState { return r.socket }
func (r *rig) Admit(int64, *flow.Key) uint8 { return r.refuse }
func (r *rig) Accepted(int64)               { r.counted++ }

// offer is a complete fabricated SYN.
func offer() wire.Tracker {
	return wire.Tracker{
		Header: wire.Header{Type: wire.MsgOffer, Role: wire.RoleNode, Sender: 2, Epoch: 5},
		Key:    tuple, ClientISN: 1000, ServerISN: 5000, TSval: 70, TSecr: 900, MSS: 1400, Window: 502, WScale: 7,
		Options: wire.OptSACK | wire.OptTimestamps, TTL: 3, Ingress: 1, Primary: 1, Secondary: 2,
	}
}

func (r *rig) message(typ uint8, m wire.Tracker) {
	m.Type = typ
	from := lb2
	if m.Sender == 1 {
		from = lb1
	}
	r.from(from, m)
}

// from brings a message of a node to the core.
func (r *rig) from(a netip.Addr, m wire.Tracker) {
	r.seqs++
	m.Header.Seq, m.Boot, m.KeyID = r.seqs, r.node(a).Boot, r.core.cfg.Keys[0].ID
	var d [wire.TrackerSize]byte
	wire.PutTracker(d[:], &m, r.pairKey(r.node(a), r.self()))
	r.core.Datagram(r.now, netip.AddrPortFrom(a, wire.PortTracker), d[:])
}

// tick lets time pass to a moment, waking the core whenever it asked for it.
func (r *rig) tick(to int64) {
	for {
		next := r.core.Tick(r.now)
		if next <= r.now {
			r.t.Fatalf("the core asks for time %d at time %d", next, r.now)
		}
		if next > to {
			r.now = to
			return
		}
		r.now = next
	}
}

// kernel sends a segment from the server's kernel.
func (r *rig) kernel(flags uint8, seq, ack uint32, o *packet.TCPOptions) {
	var b [128]byte
	n := packet.BuildTCP(b[:], &packet.TCPSpec{
		IPSpec: packet.IPSpec{Src: tuple.VIP, Dst: tuple.Client}, SrcPort: tuple.VIPPort, DstPort: tuple.ClientPort,
		Seq: seq, Ack: ack, Flags: flags, Window: 65535, Options: o,
	})
	r.core.Frame(r.now, b[:n])
}

// synAck is the kernel's answer with all options.
func (r *rig) synAck() {
	r.kernel(packet.SYN|packet.ACK, 300, 1001, &packet.TCPOptions{MSS: 1432, WScale: 9, SACKPermitted: true, Timestamps: true, TSval: 100, TSecr: 70})
}

// lastSent is the newest message; the test fails if it is not of this type.
func (r *rig) lastSent(typ uint8) wire.Tracker {
	r.t.Helper()
	if len(r.sent) == 0 || r.sent[len(r.sent)-1].m.Type != typ {
		r.t.Fatalf("the last message is not of type %d: %+v", typ, r.sent)
	}
	return r.sent[len(r.sent)-1].m
}

func (r *rig) lastFrame() injected {
	r.t.Helper()
	if len(r.frames) == 0 {
		r.t.Fatal("nothing was injected")
	}
	return r.frames[len(r.frames)-1]
}
