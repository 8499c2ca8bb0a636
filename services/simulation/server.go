package simulation

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"weir/dataplane/flow"
	"weir/dataplane/wire"
	"weir/services/config"
	"weir/services/lbmodule/agent"
)

// Server is a server node: a TCP stack in the place of the kernel, the
// module's data path before it, and the module's agent beside both.
type Server struct {
	ID    string
	Host  *Host
	Agent *agent.Core
	// Reject, if set, is asked about every offer and gives the reason of a
	// rejection, or wire.RejectNone.
	Reject func(now int64, k *flow.Key) uint8
	// Delivered counts the client's packets that reached the stack, those of
	// the agent not counted, by connection.
	Delivered map[Tuple]int

	down    bool // silent for ever: neither packets nor messages
	sent    map[Tuple]*numbers
	sim     *Sim
	cluster *Cluster
	rand    *rand.Rand
	number  uint16
	address netip.Addr
	macs    map[netip.Addr]MAC // next hops on the fabric
	port    *Port
	path    *datapath
	inbox   []func(now int64) // what the agent has not looked at yet, in order
	waking  bool
	timer   *Event
}

// agentTime is the longest time that the agent, a process in user space, takes
// to look at what has arrived.
const agentTime = 100 * time.Microsecond

// serverMTU leaves room for the outer headers on the fabric.
const serverMTU = fabricMTU - 28

// NewServer makes a server of the cluster and attaches it to the fabric. It
// owns the public addresses, as servers do.
func NewServer(c *Cluster, member *config.Server) (*Server, error) {
	s := &Server{ID: member.ID, sim: c.Sim, cluster: c, rand: c.Sim.Rand("agent " + member.ID), number: member.Number, address: member.Address,
		macs: map[netip.Addr]MAC{}, Delivered: map[Tuple]int{}, sent: map[Tuple]*numbers{}}
	var err error
	if s.Host, err = NewHost(c.Sim, member.ID, serverMTU, VIP4, VIP6); err != nil {
		return nil, err
	}
	if s.path, err = newDatapath(s); err != nil {
		s.Host.Close()
		return nil, fmt.Errorf("server %s: %w", s.ID, err)
	}
	s.Host.Output = s.output
	s.port = c.Fabric.Attach(s.ID, serverMAC(int(member.Number)), s.receive)
	return s, nil
}

// Close ends the stack and unloads the data path.
func (s *Server) Close() {
	s.Host.Close()
	s.path.close()
}

// boot is the module's boot id: the life of its connections.
func (s *Server) boot() uint64 { return uint64(s.number) }

// configure gives agent and data path the cluster's present configuration.
func (s *Server) configure(c *config.Cluster) error {
	cfg := &agent.Config{Server: s.number, Boot: s.boot(), Keys: c.Keys.Seals(), Seed: c.Keys.Ranking(), Ring: c.Keys.Ring(), WScale: uint8(c.Handshake.WindowScale)}
	if s.cluster.membership {
		cfg.Publish = c.Publishing.Interval
	}
	for i := range c.Nodes {
		n := &c.Nodes[i]
		m := agent.Node{Number: n.Number, Address: n.South, Seed: n.Seed(), Egress: n.Healthy && n.Has(config.RoleEgress), Tracker: n.Healthy && n.Has(config.RoleTracker)}
		if !s.cluster.membership {
			m.Boot = uint64(n.Number) // as without membership the nodes believe
		}
		cfg.Nodes = append(cfg.Nodes, m)
		s.macs[n.South] = nodeMAC(1, i+1)
	}
	for _, e := range c.Endpoints {
		for _, a := range e.Addresses {
			cfg.Endpoints = append(cfg.Endpoints, agent.Endpoint{Address: a, Proto: protoTCP, PortFirst: e.Ports.First, PortLast: e.Ports.Last, AcceptAfter: uint8(e.AcceptAfter)})
		}
	}
	if err := s.path.configure(cfg); err != nil {
		return fmt.Errorf("configure the data path of %s: %w", s.ID, err)
	}
	if s.Agent != nil {
		s.Agent.SetConfig(cfg)
		return nil
	}
	s.Agent = agent.New(cfg, agentOutput{s}, s.path, agentSockets{s}, agentAdmission{s})
	s.Agent.Recover(s.sim.Now())
	s.post(func(int64) {})
	return nil
}

// receive takes a frame from the fabric.
func (s *Server) receive(frame []byte) {
	if !s.down {
		s.path.fromFabric(frame)
	}
}

// datagram is a frame that the data path leaves to the kernel. The only ones
// there are go to the agent's ordinary socket.
func (s *Server) datagram(frame []byte) {
	d, ok := parseFrame(frame)
	if !ok || d.Proto != protoUDP || d.Dst.Addr() != s.address || d.Dst.Port() != wire.PortTracker && d.Dst.Port() != wire.PortPing {
		if !s.cluster.corrupts { // a flipped bit may make anything of a frame
			s.sim.Violate("server %s: the data path let a frame through to the kernel: %x", s.ID, frame)
		}
		return
	}
	body := slices.Clone(d.Payload[udpSize:])
	s.post(func(now int64) { s.Agent.Datagram(now, d.Src, body) })
}

// deliver gives the stack a packet of a client that the data path let through.
func (s *Server) deliver(ip []byte) {
	if d, ok := parseIP(ip); ok {
		s.Delivered[Tuple{d.Src, d.Dst}]++
		if d.Proto == protoTCP {
			s.checkReceived(d)
		}
	}
	s.Host.Input(ip)
}

// output takes what the stack sends: all of it leaves by the module's interface.
func (s *Server) output(ip []byte) {
	if d, ok := parseIP(ip); ok && d.Proto == protoTCP {
		s.sentBy(d)
	}
	s.path.fromKernel(ip)
}

// transmit sends an IP packet over the fabric.
func (s *Server) transmit(to netip.Addr, ip []byte) {
	if s.down {
		return
	}
	s.port.Send(ethernet(s.macs[to], s.port.MAC, ip))
}

// post leaves work for the agent, which wakes a little later.
func (s *Server) post(work func(now int64)) {
	s.inbox = append(s.inbox, work)
	if !s.waking {
		s.waking = true
		s.sim.After(time.Duration(s.rand.Int64N(int64(agentTime))), s.wake)
	}
}

func (s *Server) wake() {
	s.waking = false
	work := s.inbox
	s.inbox = nil
	for _, w := range work {
		w(s.sim.Now())
	}
	s.tick()
}

func (s *Server) tick() {
	next := s.Agent.Tick(s.sim.Now())
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer = s.sim.After(time.Duration(next-s.sim.Now()), s.tick)
}

// agentOutput is where the agent's messages and packets go.
type agentOutput struct{ *Server }

func (o agentOutput) Send(from uint16, to netip.AddrPort, d []byte) {
	o.transmit(to.Addr(), udpPacket(o.address, to.Addr(), from, to.Port(), d))
}

func (o agentOutput) Route(nodes []agent.Node, slots []agent.Slot) {
	if err := o.path.data.Route(nodes, slots); err != nil {
		o.sim.Violate("server %s: %v", o.ID, err)
	}
}

func (o agentOutput) Inject(frame []byte, kind agent.InjectKind) {
	o.path.inject(slices.Clone(frame), kind)
}

// agentSockets answers for the stack what sock_diag answers for the kernel.
type agentSockets struct{ *Server }

func (o agentSockets) Lookup(k *flow.Key) agent.SocketState {
	c, v := k.ClientAddr(), k.VIPAddr()
	id := stack.TransportEndpointID{LocalPort: v.Port(), LocalAddress: stackAddr(v.Addr()), RemotePort: c.Port(), RemoteAddress: stackAddr(c.Addr())}
	ep, ok := o.Host.stack.FindTransportEndpoint(protocolOf(v.Addr()), tcp.ProtocolNumber, id, hostNIC).(*tcp.Endpoint)
	if !ok {
		return agent.SocketNone
	}
	switch ep.EndpointState() {
	case tcp.StateListen, tcp.StateClose, tcp.StateError, tcp.StateInitial, tcp.StateBound:
		return agent.SocketNone
	case tcp.StateSynRecv:
		return agent.SocketOpening
	case tcp.StateTimeWait:
		return agent.SocketTimeWait
	}
	return agent.SocketLive
}

// agentAdmission asks the test.
type agentAdmission struct{ *Server }

func (o agentAdmission) Admit(now int64, k *flow.Key) uint8 {
	if o.Reject == nil {
		return wire.RejectNone
	}
	return o.Reject(now, k)
}

func (agentAdmission) Accepted(int64) {}
