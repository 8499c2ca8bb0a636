package exploration

import (
	"net/netip"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
	"weir/services/lbmodule/agent"
)

// server is a server node: a TCP stack of one socket, the module's data path
// in Go, and the agent.
type server struct {
	w      *world
	number int
	agent  *agent.Core // nil until it is needed: making it costs more than most runs
	cfg    *agent.Config
	slots  []netip.Addr
	flow   *agent.Flow // of the one flow, if it is in the map
	kernel socket
	inbox  [][]byte // frames of the kernel that the agent has not looked at yet
	due    int64    // of the agent
}

func newServer(w *world, number int) *server {
	s := &server{w: w, number: number, kernel: socket{isn: uint32(number+1) * 1_000_000, due: never}, due: never}
	s.kernel.s = s
	return s
}

func (s *server) configure(c *agent.Config, slots []netip.Addr) {
	s.cfg, s.slots = c, slots
	if s.agent != nil {
		s.agent.SetConfig(c)
		s.tick()
	}
}

// tick lets the agent look at what its kernel sent, then run its timers.
func (s *server) tick() {
	for len(s.inbox) > 0 {
		frame := s.inbox[0]
		s.inbox = s.inbox[1:]
		s.agent.Frame(s.w.now, frame)
	}
	if s.due = s.agent.Tick(s.w.now); len(s.inbox) > 0 {
		s.tick()
	}
}

// receive takes a frame from the fabric.
func (s *server) receive(frame []byte) {
	if s.agent == nil {
		s.agent = agent.New(s.cfg, s, s, s, s)
		s.agent.Recover(s.w.now)
	}
	defer s.tick()
	var in packet.Info
	if packet.Parse(frame, &in) != packet.OK || in.Proto != packet.ProtoUDP {
		s.w.violate("server %d got a frame that is no datagram: %x", s.number, frame)
		return
	}
	from := netip.AddrFrom16(in.Src).Unmap()
	switch in.DstPort {
	case wire.PortData:
		s.fromClient(from, frame[in.Payload:in.End])
	case wire.PortTracker:
		s.w.checkOffer(s, frame[in.Payload:in.End])
		s.agent.Datagram(s.w.now, netip.AddrPortFrom(from, in.SrcPort), append([]byte(nil), frame[in.Payload:in.End]...))
	}
}

// fromClient is the data path's ingress program.
func (s *server) fromClient(from netip.Addr, ip []byte) {
	bare := append(make([]byte, packet.EthernetSize), ip...)
	packet.PutEthernet(bare, [6]byte{}, [6]byte{}, packet.EtherTypeIPv4)
	seg, k, ok := segmentOf(bare)
	if !ok || k != key {
		s.w.violate("server %d got a broken packet: %x", s.number, ip)
		return
	}
	f := s.flow
	switch {
	case f == nil:
		s.agent.Stray(s.w.now, &agent.Stray{Key: k, From: from, Seq: seg.seq, Ack: seg.ack, Flags: seg.flags})
		return
	case seg.flags&packet.SYN != 0:
		return
	case f.State == agent.Pending && seg.flags&packet.RST == 0:
		if seg.flags&packet.ACK == 0 || seg.ack != f.ServerISN+1 {
			return
		}
		s.establish()
	}
	for i := range s.cfg.Nodes {
		if s.cfg.Nodes[i].Address == from {
			f.Ingress = s.cfg.Nodes[i].Number
		}
	}
	f.LastSeen = s.w.now
	f.Flags |= agent.FlagHeard
	if seg.flags&packet.RST != 0 {
		f.Flags |= agent.FlagReset
	}
	seg.ack -= f.SeqDelta
	s.kernel.receive(&seg)
}

// establish is the moment from which the server's bytes may flow.
func (s *server) establish() {
	s.flow.State = agent.Established
	s.w.checkEstablished(s)
}

// fromKernel is the data path's egress program.
func (s *server) fromKernel(seg segment) {
	f := s.flow
	if f == nil || f.State != agent.Established || seg.flags&packet.SYN != 0 {
		s.inbox = append(s.inbox, frameOf(&seg, false))
		return
	}
	f.Flags |= agent.FlagSpoken
	f.LastSeen = s.w.now
	if seg.flags&packet.RST != 0 {
		f.Flags |= agent.FlagReset
	}
	seg.seq += f.SeqDelta
	to, ok := s.egress(f)
	if !ok {
		return
	}
	s.w.send(&datagram{to: part(to), port: packet.South,
		frame: udpFrame(southMAC(to), serverMAC(s.number), nodeAddress(to), serverAddress(s.number), wire.PortData, frameOf(&seg, false)[packet.EthernetSize:])})
}

// egress is the node that carries the flow's packets north: its own, or its slot's.
func (s *server) egress(f *agent.Flow) (node int, ok bool) {
	for pass := range 2 {
		want := netip.AddrFrom4(f.Egress)
		if pass == 1 {
			want = s.slots[f.Slot%agent.Slots]
		}
		for i := range s.cfg.Nodes {
			if n := &s.cfg.Nodes[i]; n.Egress && n.Address == want {
				return i, true
			}
		}
	}
	return 0, false
}

// Send, Route and Inject are the agent's Output.
func (s *server) Send(_ uint16, to netip.AddrPort, d []byte) {
	for i := range Nodes {
		if nodeAddress(i) == to.Addr() {
			s.w.send(&datagram{to: part(i), port: packet.South, frame: udpFrame(southMAC(i), serverMAC(s.number), to.Addr(), serverAddress(s.number), to.Port(), append([]byte(nil), d...))})
		}
	}
}

func (s *server) Route([]agent.Node, []agent.Slot) {} // what the agent knows of the nodes comes from configurations

func (s *server) Inject(frame []byte, kind agent.InjectKind) {
	if kind == agent.Handshake {
		if s.flow == nil || s.flow.State != agent.Pending {
			return
		}
		s.establish()
	}
	seg, _, ok := segmentOf(frame)
	if !ok {
		s.w.violate("the agent of server %d injected a broken frame: %x", s.number, frame)
		return
	}
	s.kernel.receive(&seg)
}

// Get, Put, Delete and Walker are the flow map.
func (s *server) Get(*flow.Key) (agent.Flow, bool) {
	if s.flow == nil {
		return agent.Flow{}, false
	}
	return *s.flow, true
}

func (s *server) Put(_ *flow.Key, f *agent.Flow) error {
	c := *f
	s.flow = &c
	return nil
}

func (s *server) Delete(*flow.Key) { s.flow = nil }

func (s *server) Walker() agent.Walker { return s }

func (s *server) Walk(_ int, visit func(*flow.Key, *agent.Flow)) bool {
	if s.flow != nil {
		k, f := key, *s.flow
		visit(&k, &f)
	}
	return true
}

// Lookup is what sock_diag says.
func (s *server) Lookup(*flow.Key) agent.SocketState {
	switch s.kernel.state {
	case synReceived:
		return agent.SocketOpening
	case open:
		return agent.SocketLive
	}
	return agent.SocketNone
}

// Admit and Accepted are the admission.
func (s *server) Admit(int64, *flow.Key) uint8 {
	if s.w.scenario.RejectFirst && (s.w.asked < 0 || s.w.asked == s.number) {
		s.w.asked = s.number
		return wire.RejectCPU
	}
	return wire.RejectNone
}

func (*server) Accepted(int64) {}
