package simulation

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"weir/dataplane/packet"
	"weir/services/config"
)

// Options say what a simulated cluster is made of.
type Options struct {
	Nodes, Servers int
	Workers        int    // per node; 0 means 2
	Endpoint       string // more settings of the endpoint, in cluster-file form: ", offers: 3"

	// Weather makes the stages on the way out of every port of every bus. Nil
	// is fine weather.
	Weather  func(r *rand.Rand) []Stage
	Corrupts bool // the weather changes bits, so components pass wrong checksums on
	Script   bool // watch for scripted faults on the buses of the nodes

	// Membership has the nodes find out about each other, as they do outside of
	// the simulation. Without it everything is as the cluster file says, and
	// whoever is killed is known to be dead at once.
	Membership bool
	Absent     map[int]bool // nodes that are not there at first; with Membership only
	Skewed     bool         // every node has a clock of its own
}

// Cluster is a whole cluster on three buses: client and router, router and
// nodes, nodes and servers.
type Cluster struct {
	Sim     *Sim
	Load    *Workload
	Script  *Script
	Client  *Host
	Router  *Router
	Nodes   []*Node
	Servers []*Server

	Access, North, Fabric *Bus

	corrupts   bool
	membership bool // nodes find out about each other
	config     *config.Cluster
	roles      *roleBook
	published  int // datagrams of modules
	passedOn   int // datagrams of nodes that carry them on
	stranger   *Port
	macs       map[netip.Addr]MAC // of the machines on the fabric
	bgp        *sessions
}

// Segment latencies.
const (
	accessLatency = 2 * time.Millisecond
	northLatency  = 50 * time.Microsecond
	fabricLatency = 50 * time.Microsecond
)

// NewCluster builds a cluster whose parts all work.
func NewCluster(seed uint64, o Options) (c *Cluster, err error) {
	sim := New(seed)
	c = &Cluster{Sim: sim, corrupts: o.Corrupts, membership: o.Membership, macs: map[netip.Addr]MAC{}, Load: NewWorkload(sim), Script: NewScript(isVIP),
		Access: sim.NewBus("access", accessLatency), North: sim.NewBus("north", northLatency), Fabric: sim.NewBus("fabric", fabricLatency)}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if c.config, err = parseCluster(sim, o.Nodes, o.Servers, o.Endpoint); err != nil {
		return c, err
	}
	if c.roles, err = newRoleBook(c.config); err != nil {
		return c, err
	}
	if c.Client, err = NewHost(sim, "client", 1500, Client4, Client6); err != nil {
		return c, err
	}
	c.Load.Excuse = c.onDeadServer
	c.Client.Attach(c.Access, accessMAC(1), accessMAC(2))
	c.Router = NewRouter(sim, c.Access, c.North, accessMAC(2), routerMAC(), isVIP)
	c.Router.AddHost(Client4, accessMAC(1))
	c.Router.AddHost(Client6, accessMAC(1))
	c.stranger = c.Access.Attach("stranger", accessMAC(3), func([]byte) {})
	workers := o.Workers
	if workers == 0 {
		workers = 2
	}
	var hops []MAC
	for i := range c.config.Nodes {
		n, err := NewNode(sim, c.config.Nodes[i].ID, c.config.Nodes[i].Number, workers, c.North, c.Fabric, [packet.NumPorts]MAC{nodeMAC(0, i+1), nodeMAC(1, i+1)})
		if err != nil {
			return c, err
		}
		if o.Skewed {
			n.skew()
		}
		c.Nodes = append(c.Nodes, n)
		hops = append(hops, nodeMAC(0, i+1))
		c.macs[c.config.Nodes[i].South] = nodeMAC(1, i+1)
		c.Router.AddNode(c.config.Nodes[i].North, nodeMAC(0, i+1))
	}
	for i := range c.config.Servers {
		s, err := NewServer(c, &c.config.Servers[i])
		if err != nil {
			return c, err
		}
		c.Servers = append(c.Servers, s)
		c.macs[s.address] = serverMAC(i + 1)
		if err := c.Load.Serve(s.Host, i+1, ServicePort); err != nil {
			return c, err
		}
	}
	if o.Membership {
		c.bgp = newSessions(c)
		for _, s := range c.Servers {
			if err := s.configure(c.config); err != nil {
				return c, err
			}
		}
		for i, n := range c.Nodes {
			n.bgp = c.bgp
			if n.down = o.Absent[i]; !n.down {
				c.begin(n)
				n.tick()
			}
		}
	} else {
		c.Router.SetNextHops(hops)
		if err := c.Configure(); err != nil {
			return c, err
		}
		for _, n := range c.Nodes {
			n.tick()
		}
	}
	c.install(o)
	return c, nil
}

// install puts the stages on every port's way out: first the watch, which sees
// what components really sent, then the script, then the weather.
func (c *Cluster) install(o Options) {
	for i, n := range c.Nodes {
		for port, p := range n.Ports {
			l := n.links[port]
			p.Out = append(p.Out, c.roles.watch(c.config.Nodes[i].Number), l.stage(&l.out))
			p.In = append(p.In, l.stage(&l.in))
		}
	}
	for _, bus := range []*Bus{c.Access, c.North, c.Fabric} {
		for _, p := range bus.Ports() {
			switch bus {
			case c.North:
				p.Out = append(p.Out, watchNorth(c.Sim, o.Corrupts))
			case c.Fabric:
				p.Out = append(p.Out, c.watchFabric())
			}
			if o.Script && bus != c.Access {
				p.Out = append(p.Out, c.Script.Stage)
			}
			if o.Weather != nil {
				p.Out = append(p.Out, o.Weather(c.Sim.Rand("weather "+p.label))...)
			}
		}
	}
}

// onDeadServer reports whether a connection was on a server that has died.
func (c *Cluster) onDeadServer(f *Flow) bool {
	for i, s := range c.Servers {
		if s.down && c.roles.sent[Tuple{f.Client, f.VIP}][serverMAC(i+1)] {
			return true
		}
	}
	return false
}

// Roles tells which nodes have played which part for a connection so far.
func (c *Cluster) Roles(t Tuple) Roles { return *c.roles.of(t) }

// Kill stops a node, and lets router and cluster know at once.
func (c *Cluster) Kill(node int) error {
	c.Nodes[node].kill()
	c.config.Nodes[node].Healthy = false
	var hops []MAC
	for i := range c.config.Nodes {
		if c.config.Nodes[i].Healthy {
			hops = append(hops, nodeMAC(0, i+1))
		}
	}
	c.Router.SetNextHops(hops)
	return c.Configure()
}

// Close ends everything that outlives a run: goroutines, tables, eBPF objects.
func (c *Cluster) Close() {
	if c.Client != nil {
		c.Client.Close()
	}
	for _, n := range c.Nodes {
		n.Close()
	}
	for _, s := range c.Servers {
		s.Close()
	}
}

// Run lets the workload go to its end within a limit of virtual time. An error
// names the seed and the connections that did not end.
func (c *Cluster) Run(limit time.Duration) error {
	if err := c.Sim.Run(limit, c.Load.Finished); err != nil {
		return fmt.Errorf("%w\n%s", err, c.Load.Unfinished())
	}
	return nil
}
