package lbnode

import (
	"fmt"

	"weir/dataplane/flow"
	"weir/dataplane/hashring"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// view is a Config made quick to use. Like the Config it never changes.
type view struct {
	ring      *hashring.Ring
	nodes     []*nodeView // by number
	self      *Node       // nil before the first configuration
	south4    [4]byte     // this node's fabric address
	selfSouth [16]byte
	servers   []*serverView // by number
	byAddress addressTable
	endpoints map[vip][]*endpointView
	scratch   int // most candidates of any endpoint
}

type vip struct {
	addr  [16]byte
	proto uint8
}

type nodeView struct {
	*Node
	target packet.EncapTarget
	keys   pairKeys
}

type serverView struct {
	*Server
	target   packet.EncapTarget
	keys     pairKeys
	resolved bool       // the next hop towards it is known
	usable   bool       // … and it shows signs of life
	vips     []vipPorts // what it may send from
}

type vipPorts struct {
	vip
	first, last uint16
}

type endpointView struct {
	*Endpoint
	healthy []hashring.Candidate
	all     []hashring.Candidate
}

// Prepare checks the configuration and computes what workers look up; it is
// called once, by whoever makes the Config, before workers see it.
func (c *Config) Prepare() error {
	v := &view{endpoints: make(map[vip][]*endpointView), byAddress: newAddressTable(len(c.Servers), c.Secrets.Ranking)}
	var members []hashring.Member
	for i := range c.Nodes {
		n := &c.Nodes[i]
		if v.node(n.Number) != nil || n.Number == NoNode {
			return fmt.Errorf("node %s: number %d is taken or reserved", n.ID, n.Number)
		}
		place(&v.nodes, n.Number, &nodeView{Node: n})
		if n.Number == c.Self {
			v.self = n
		}
		if n.Tracker {
			members = append(members, hashring.Member{Number: n.Number, Seed: n.Seed})
		}
	}
	v.ring = hashring.New(members, c.Secrets.Ring)
	if v.self == nil {
		return fmt.Errorf("node number %d (this node) is not among the nodes", c.Self)
	}
	if !v.self.South.Is4() {
		return fmt.Errorf("node %s: fabric address %s is not IPv4", v.self.ID, v.self.South)
	}
	v.south4, v.selfSouth = v.self.South.As4(), v.self.South.As16()
	for _, n := range v.nodes {
		if n == nil {
			continue
		}
		var err error
		if n.target, err = packet.NewEncapTarget(n.MAC, c.MACs[packet.South], n.South, v.self.South); err != nil {
			return fmt.Errorf("node %s: %w", n.ID, err)
		}
		n.keys = c.pairKeys(v.self.Boot, wire.Peer{Role: wire.RoleNode, Number: n.Number, Boot: n.Boot})
	}
	for i := range c.Servers {
		s := &c.Servers[i]
		if v.server(s.Number) != nil {
			return fmt.Errorf("server %s: number %d is taken", s.ID, s.Number)
		}
		if !s.Address.Is4() {
			return fmt.Errorf("server %s: fabric address %s is not IPv4", s.ID, s.Address)
		}
		sv := &serverView{Server: s, resolved: s.MAC != MAC{}, usable: s.MAC != MAC{} && !s.Dead}
		var err error
		if sv.target, err = packet.NewEncapTarget(s.MAC, c.MACs[packet.South], s.Address, v.self.South); err != nil {
			return fmt.Errorf("server %s: %w", s.ID, err)
		}
		sv.keys = c.pairKeys(v.self.Boot, wire.Peer{Role: wire.RoleServer, Number: s.Number, Boot: s.Boot})
		place(&v.servers, s.Number, sv)
		v.byAddress.add(s.Address.As4(), sv)
	}
	for i := range c.Endpoints {
		if err := v.addEndpoint(&c.Endpoints[i]); err != nil {
			return err
		}
	}
	c.view = v
	return nil
}

func (v *view) addEndpoint(e *Endpoint) error {
	ev := &endpointView{Endpoint: e}
	for _, number := range e.Servers {
		s := v.server(number)
		if s == nil {
			return fmt.Errorf("endpoint %s: server number %d does not exist", e.Name, number)
		}
		for _, a := range e.Addresses {
			s.vips = append(s.vips, vipPorts{vip{a.As16(), e.Proto}, e.PortFirst, e.PortLast})
		}
		c := hashring.Candidate{Number: number, Weight: s.Weight, Seed: s.Seed}
		ev.all = append(ev.all, c)
		if s.Healthy {
			ev.healthy = append(ev.healthy, c)
		}
	}
	for _, a := range e.Addresses {
		k := vip{a.As16(), e.Proto}
		v.endpoints[k] = append(v.endpoints[k], ev)
	}
	v.scratch = max(v.scratch, len(ev.all))
	return nil
}

// endpoint finds who serves an address and port; served tells whether the
// address is public at all for this protocol.
func (v *view) endpoint(addr [16]byte, proto uint8, port uint16) (e *endpointView, served bool) {
	list := v.endpoints[vip{addr, proto}]
	for _, e := range list {
		if port >= e.PortFirst && port <= e.PortLast {
			return e, true
		}
	}
	return nil, len(list) > 0
}

// mayUse reports whether the server may send from the flow's public address
// and port (S-23).
func (s *serverView) mayUse(k *flow.Key) bool {
	for i := range s.vips {
		p := &s.vips[i]
		if p.addr == k.VIP && p.proto == k.Proto && k.VIPPort >= p.first && k.VIPPort <= p.last {
			return true
		}
	}
	return false
}

// place puts a thing at its number, growing the list as needed.
func place[T any](list *[]*T, number uint16, it *T) {
	for int(number) >= len(*list) {
		*list = append(*list, nil)
	}
	(*list)[number] = it
}

func (v *view) node(number uint16) *nodeView {
	if int(number) < len(v.nodes) {
		return v.nodes[number]
	}
	return nil
}

// boot is the boot id of a node's dataplane; 0: there is no such node.
func (v *view) boot(number uint16) uint64 {
	if n := v.node(number); n != nil {
		return n.Boot
	}
	return 0
}

func (v *view) server(number uint16) *serverView {
	if int(number) < len(v.servers) {
		return v.servers[number]
	}
	return nil
}

// candidates are the servers that offers may go to.
func (e *endpointView) candidates() []hashring.Candidate {
	if len(e.healthy) == 0 && e.TryAll {
		return e.all
	}
	return e.healthy
}

// clamp is the largest MSS whose full segment, encapsulated, fits the fabric (S-13).
func clampMSS(fabricMTU uint16, is4 bool) uint16 {
	const tcp = 20
	inner := uint16(40)
	if is4 {
		inner = 20
	}
	return fabricMTU - packet.TunnelOverhead - inner - tcp
}
