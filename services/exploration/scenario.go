package exploration

import (
	"fmt"
	"net/netip"

	"weir/dataplane/flow"
	"weir/dataplane/hashring"
	"weir/dataplane/lbnode"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
	"weir/services/lbmodule/agent"
)

// Size of the explored system.
const (
	Nodes   = 3
	Servers = 2
)

// Scenario is what a run is about, apart from its faults.
type Scenario struct {
	Name        string
	Ingress     int  // which node the router chooses first: 0 primary, 1 secondary, 2 the third
	ServerFirst bool // the server speaks first
	RejectFirst bool // the first server that is asked does not want the connection
	Joining     bool // the third node is not on the ring at first
}

// Scenarios are all of them.
func Scenarios() (list []Scenario) {
	for ingress, place := range []string{"primary", "secondary", "other"} {
		list = append(list, Scenario{Name: "ingress is " + place, Ingress: ingress})
	}
	return append(list,
		Scenario{Name: "server speaks first", Ingress: 2, ServerFirst: true},
		Scenario{Name: "first server rejects", Ingress: 2, RejectFirst: true},
		Scenario{Name: "a node joins", Ingress: 0, Joining: true},
	)
}

var (
	client  = netip.MustParseAddrPort("198.51.100.10:40000")
	vip     = netip.MustParseAddrPort("203.0.113.10:80")
	key     = flow.MakeKey(client, vip, packet.ProtoTCP)
	secrets = lbnode.Secrets{Control: []wire.ControlKey{{ID: 1, Key: wire.Key{K0: 1, K1: 2}}}, Cookie: []wire.Key{{K0: 3, K1: 4}},
		Ring: flow.Seed{5, 6}, Ranking: flow.Seed{7, 8}, Steering: flow.Seed{9, 10}}
)

const (
	wscale    = 7
	fabricMTU = 1500
	epochWall = 1_800_000_000e9 // wall clock minus virtual clock, ns
)

func nodeAddress(i int) netip.Addr   { return netip.AddrFrom4([4]byte{10, 20, 0, byte(11 + i)}) }
func serverAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 20, 0, byte(101 + i)}) }
func northMAC(i int) lbnode.MAC      { return lbnode.MAC{2, 0, 0, 0, 0, byte(i)} }
func southMAC(i int) lbnode.MAC      { return lbnode.MAC{2, 0, 0, 0, 1, byte(i)} }
func serverMAC(i int) lbnode.MAC     { return lbnode.MAC{2, 0, 0, 0, 2, byte(i)} }

// placeSeed is a node's place on the ring.
func placeSeed(i int) uint64 { return uint64(i+1) * 0x9e3779b97f4a7c15 }

var routerMAC = lbnode.MAC{2, 0, 0, 0, 3, 0}

// members says which nodes do what: bit i is node i.
type members struct {
	alive, trackers uint8
	settled         bool // for longer than a lease (S-58)
}

func (m members) has(set uint8, i int) bool { return set&(1<<i) != 0 }

// nodeConfig is the configuration of node i when the cluster consists of these members.
func nodeConfig(i int, m members) (*lbnode.Config, error) {
	c := &lbnode.Config{Self: uint16(i), Boot: uint64(i) + 77, Epoch: uint32(m.trackers&m.alive) + 1, Secrets: secrets, FabricMTU: fabricMTU, WScale: wscale,
		HoldBytes: 16384, HoldPkts: 16, Settled: m.settled, WallNanos: epochWall, Routers: []lbnode.MAC{routerMAC},
		MACs: [packet.NumPorts]lbnode.MAC{northMAC(i), southMAC(i)}}
	for n := range Nodes {
		alive := m.has(m.alive, n)
		c.Nodes = append(c.Nodes, lbnode.Node{Number: uint16(n), ID: fmt.Sprint("lb", n), Boot: uint64(n) + 77, South: nodeAddress(n), MAC: southMAC(n),
			Tracker: alive && m.has(m.trackers, n), Ingress: alive, Egress: alive, Seed: placeSeed(n)})
	}
	e := lbnode.Endpoint{Name: "web", Addresses: []netip.Addr{vip.Addr()}, Proto: packet.ProtoTCP, PortFirst: vip.Port(), PortLast: vip.Port(), TTL: 4}
	for n := range Servers {
		c.Servers = append(c.Servers, lbnode.Server{Number: uint16(n), ID: fmt.Sprint("srv", n), Address: serverAddress(n), MAC: serverMAC(n),
			Weight: 100, Healthy: true, Boot: uint64(n) + 177, Seed: uint64(n+1) * 0xc2b2ae3d27d4eb4f})
		e.Servers = append(e.Servers, uint16(n))
	}
	c.Endpoints = []lbnode.Endpoint{e}
	if err := c.Prepare(); err != nil {
		return nil, fmt.Errorf("configure node %d: %w", i, err)
	}
	return c, nil
}

// moduleConfig is the configuration of server i's module.
func moduleConfig(i int, m members) *agent.Config {
	c := &agent.Config{Server: uint16(i), Boot: uint64(i) + 177, Keys: secrets.Control, Seed: secrets.Ranking, Ring: secrets.Ring, WScale: wscale,
		Endpoints: []agent.Endpoint{{Address: vip.Addr(), Proto: packet.ProtoTCP, PortFirst: vip.Port(), PortLast: vip.Port()}}}
	for n := range Nodes {
		alive := m.has(m.alive, n)
		c.Nodes = append(c.Nodes, agent.Node{Number: uint16(n), Address: nodeAddress(n), Boot: uint64(n) + 77, Seed: placeSeed(n),
			Egress: alive, Tracker: alive && m.has(m.trackers, n)})
	}
	return c
}

// configs remembers prepared configurations, which never change.
type configs struct {
	nodes   map[configKey]*lbnode.Config
	modules map[configKey]*agent.Config
	slots   map[members][]netip.Addr
}

type configKey struct {
	who int
	m   members
}

func newConfigs() *configs {
	return &configs{nodes: map[configKey]*lbnode.Config{}, modules: map[configKey]*agent.Config{}, slots: map[members][]netip.Addr{}}
}

func (c *configs) node(i int, m members) *lbnode.Config {
	k := configKey{i, m}
	if c.nodes[k] == nil {
		cfg, err := nodeConfig(i, m)
		if err != nil {
			panic(err) // there is no input that could be wrong
		}
		c.nodes[k] = cfg
	}
	return c.nodes[k]
}

func (c *configs) module(i int, m members) (*agent.Config, []netip.Addr) {
	k := configKey{i, m}
	if c.modules[k] == nil {
		c.modules[k] = moduleConfig(i, m)
		c.slots[m] = agent.EgressSlots(c.modules[k].Nodes)
	}
	return c.modules[k], c.slots[m]
}

// trackers are the flow's, when all nodes are on the ring.
func trackers(c *configs) (primary, secondary int) {
	var list []hashring.Member
	for _, n := range c.node(0, members{7, 7, true}).Nodes {
		list = append(list, hashring.Member{Number: n.Number, Seed: n.Seed})
	}
	p, s := hashring.New(list, secrets.Ring).Trackers(&key)
	return int(p), int(s)
}
