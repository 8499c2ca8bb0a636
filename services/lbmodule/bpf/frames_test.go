package bpf

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/services/lbmodule/agent"
)

// The flow of these tests, in both families, and its numbers.
var (
	server  = netip.MustParseAddr("10.20.0.101")
	node    = netip.MustParseAddr("10.20.0.11")
	second  = netip.MustParseAddr("10.20.0.12")
	clients = map[string][2]netip.AddrPort{
		"IPv4": {netip.MustParseAddrPort("198.51.100.10:40000"), netip.MustParseAddrPort("203.0.113.10:80")},
		"IPv6": {netip.MustParseAddrPort("[2001:db8:51::10]:40000"), netip.MustParseAddrPort("[2001:db8:100::10]:80")},
	}
)

// Variables, so that sums wrap as sequence numbers do.
var (
	clientISN uint32 = 0x11110000
	serverISN uint32 = 0xfffffff0 // of the trackers; wraps at once
	kernelISN uint32 = 0x22220000
	seqDelta         = serverISN - kernelISN
	kernelTS  uint32 = 0x01000000
	tsDelta   uint32 = 0xff800000
)

// harness is a loaded data path on no interface.
type harness struct {
	*Data
	t *testing.T
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	d, err := Load(&Settings{Server: server, MaxFlows: 64, VirtualClock: true, OwnMAC: [6]byte{2, 0, 0, 0, 0, 1}}, "")
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { d.Close() })
	h := &harness{d, t}
	h.configure()
	return h
}

func (h *harness) configure() {
	h.t.Helper()
	nodes := []agent.Node{{Number: 1, Address: node, Egress: true}, {Number: 2, Address: second, Egress: true}}
	var endpoints []agent.Endpoint
	for _, c := range clients {
		endpoints = append(endpoints, agent.Endpoint{Address: c[1].Addr(), Proto: 6, PortFirst: 80, PortLast: 81})
	}
	if err := h.Configure(nodes, endpoints); err != nil {
		h.t.Fatal(err)
	}
}

func key(family string) flow.Key {
	c := clients[family]
	return flow.MakeKey(c[0], c[1], packet.ProtoTCP)
}

// flowOf is the flow in its usual state.
func flowOf(change func(*agent.Flow)) *agent.Flow {
	f := &agent.Flow{
		ClientISN: clientISN, ServerISN: serverISN, SeqDelta: seqDelta, TSDelta: tsDelta, KernelTSval: kernelTS,
		Egress: node.As4(), Slot: 5, SourcePort: 50000, Primary: 1, Secondary: 2, Ingress: 9,
		Options: 3, State: agent.Established, Flags: agent.FlagSpoken,
	}
	if change != nil {
		change(f)
	}
	return f
}

func (h *harness) put(family string, f *agent.Flow) {
	h.t.Helper()
	k := key(family)
	if err := h.Flows().Put(&k, f); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) get(family string) agent.Flow {
	h.t.Helper()
	k := key(family)
	f, ok := h.Flows().Get(&k)
	if !ok {
		h.t.Fatal("the flow is gone")
	}
	return f
}

// segment is one TCP packet; options are raw, at any alignment.
type segment struct {
	seq, ack uint32
	flags    uint8
	window   uint16
	options  []byte // a multiple of 4 long
	payload  []byte
}

// build makes the frame of a segment from one address to another.
func build(from, to netip.AddrPort, s segment) []byte {
	payload := append(append([]byte{}, s.options...), s.payload...)
	b := make([]byte, 2048)
	n := packet.BuildTCP(b, &packet.TCPSpec{
		IPSpec: packet.IPSpec{Src: from.Addr().As16(), Dst: to.Addr().As16(), TOS: 0x28}, SrcPort: from.Port(), DstPort: to.Port(),
		Seq: s.seq, Ack: s.ack, Flags: s.flags, Window: s.window, Payload: payload,
	})
	b = b[:n]
	var in packet.Info
	packet.Parse(b, &in)
	b[in.L4+12] = uint8(5+len(s.options)/4) << 4
	fixTCP(b)
	return b
}

// fixTCP writes the right TCP checksum.
func fixTCP(b []byte) {
	var in packet.Info
	packet.Parse(b, &in)
	t := b[in.L4:in.End]
	t[16], t[17] = 0, 0
	src, dst := in.Src[:], in.Dst[:]
	if !in.IsV6 {
		src, dst = src[12:], dst[12:]
	}
	binary.BigEndian.PutUint16(t[16:], ^packet.Fold(packet.Add(packet.Add(packet.Add(packet.Add(0, src), dst), []byte{0, 6, uint8(len(t) >> 8), uint8(len(t))}), t)))
}

func fromClient(family string, s segment) []byte {
	return build(clients[family][0], clients[family][1], s)
}
func fromServer(family string, s segment) []byte {
	return build(clients[family][1], clients[family][0], s)
}

// tunnel wraps the IP packet of a frame as an LB node does.
func tunnel(from netip.Addr, frame []byte) []byte {
	ip := frame[packet.EthernetSize:]
	b := make([]byte, packet.EthernetSize+packet.IPv4Size+packet.UDPSize+len(ip))
	packet.PutEthernet(b, [6]byte{1}, [6]byte{2}, packet.EtherTypeIPv4)
	packet.PutIPv4(b[14:], from.As4(), server.As4(), packet.ProtoUDP, 64, 0, uint16(28+len(ip)))
	binary.BigEndian.PutUint16(b[34:], 50000)
	binary.BigEndian.PutUint16(b[36:], 6080)
	binary.BigEndian.PutUint16(b[38:], uint16(8+len(ip)))
	copy(b[42:], ip)
	return b
}

// inner is the packet in a tunnel, as a frame.
func inner(t *testing.T, b []byte) []byte {
	t.Helper()
	var in packet.Info
	if st := packet.Parse(b, &in); st != packet.OK || in.Proto != packet.ProtoUDP || in.DstPort != 6080 {
		t.Fatalf("not a tunnel packet: %s, % x", st, b)
	}
	f := make([]byte, packet.EthernetSize+in.PayloadLen())
	typ := uint16(packet.EtherTypeIPv4)
	if b[in.Payload]>>4 == 6 {
		typ = packet.EtherTypeIPv6
	}
	packet.PutEthernet(f, [6]byte{}, [6]byte{}, typ)
	copy(f[packet.EthernetSize:], b[in.Payload:in.End])
	return f
}

// parse reads a frame whose checksums must be right.
func parse(t *testing.T, b []byte) (packet.Info, []byte) {
	t.Helper()
	var in packet.Info
	if st := packet.Parse(b, &in); st != packet.OK {
		t.Fatalf("%s: % x", st, b)
	}
	if in.Proto == packet.ProtoTCP && !packet.VerifyTCP(b, &in) {
		t.Errorf("TCP checksum is wrong: % x", b)
	}
	if (in.Proto == packet.ProtoICMP || in.Proto == packet.ProtoICMPv6) && !packet.VerifyICMP(b, &in) {
		t.Errorf("ICMP checksum is wrong: % x", b)
	}
	return in, in.Options(b)
}

func be32(v ...uint32) (b []byte) {
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, x)
	}
	return b
}

func join(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func timestamps(val, ecr uint32) []byte { return append([]byte{8, 10}, be32(val, ecr)...) }

func sack(edges ...uint32) []byte {
	return append([]byte{5, uint8(2 + 4*len(edges))}, be32(edges...)...)
}
