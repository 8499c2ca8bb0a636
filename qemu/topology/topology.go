// Package topology describes the cluster that every lab runs: which machines
// there are, how they are wired and which addresses they have. The namespace
// lab, the QEMU lab and the simulation are made from this one description.
package topology

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"weir/services/config"
)

// Limits come from the address plan: a node's two BGP addresses end at
// 10.10.0.(101+2·76) = 10.10.0.253, servers have 10.20.0.101 to .250.
const (
	MaxNodes   = 76
	MaxServers = 150
)

// Names of the namespaces (and of the machines they stand for).
const (
	ClientName = "weir-client"
	RouterName = "weir-router"
	FabricName = "weir-fabric" // the switches of both LANs

	ControllerName = "weir-controller" // runs the configuration service
	ControllerID   = "controller"
)

// Autonomous system numbers of the router and of the LB nodes.
const (
	RouterASN = 65000
	LBASN     = 65001
)

// MTU of every link, bytes.
const MTU = 1500

// Node is an LB node.
type Node struct {
	ID        string // "lb1"
	Number    int    // 1…
	Namespace string
	North     netip.Prefix // of the node, towards the router
	North6    netip.Prefix
	South     netip.Prefix // on the fabric
	Left      netip.Prefix // source of the BGP session that it holds as left neighbour
	Right     netip.Prefix // and as right neighbour (S-60)
	Control   netip.Prefix // on the control network; in the namespace lab there is none
}

// Sides of a node: one NIC each.
const (
	North = iota
	South
	Control
)

// MAC is the Ethernet address of a node's NIC. A machine that is taken away and
// put back is the same machine: the router still knows its address.
func (n Node) MAC(side int) net.HardwareAddr {
	return net.HardwareAddr{0x02, 'w', 'l', 'b', byte(side), byte(n.Number)}
}

// Metrics is where the node's Prometheus endpoint listens.
func (n Node) Metrics() netip.AddrPort { return netip.AddrPortFrom(n.South.Addr(), 9100) }

// Server is a machine with the LB module and a TCP server.
type Server struct {
	ID        string // "srv1"
	Number    int    // 1…
	Namespace string
	Address   netip.Prefix // on the fabric
}

// Endpoint is a public address and port, served by all servers.
type Endpoint struct {
	Name     string
	Address  netip.Addr
	Address6 netip.Addr
	Port     uint16

	WhenAllUnhealthy string // what becomes of its connections (S-58)
}

// Link is a machine's end of a LAN with both families.
type Link struct {
	V4, V6 netip.Prefix
}

// Topology is a whole lab.
type Topology struct {
	Nodes   []Node
	Servers []Server
	VIPs    []Endpoint

	Client       Link // the client's address
	RouterClient Link // the router, on the client's side
	RouterNorth  Link // the router, on the LB nodes' side

	Controller        netip.Prefix // on the fabric
	ControllerControl netip.Prefix // on the control network

	// FailureTime is how long nodes may be silent before they are taken for dead:
	// where many machines share few processors, one that waits its turn is not dead.
	// 0: as on hardware.
	FailureTime time.Duration
}

// ClusterName is in the certificates of all machines too.
const ClusterName = "lab"

// ConfigService is where the configuration service is reached on the fabric.
func (t *Topology) ConfigService() netip.AddrPort {
	return netip.AddrPortFrom(t.Controller.Addr(), config.ConfigPort)
}

// ConfigServiceControl is where it is reached on the control network.
func (t *Topology) ConfigServiceControl() netip.AddrPort {
	return netip.AddrPortFrom(t.ControllerControl.Addr(), config.ConfigPort)
}

// New makes the description for the given number of LB nodes and servers. It
// refuses numbers that the address plan has no room for.
func New(nodes, servers int) (*Topology, error) {
	if nodes < 1 || nodes > MaxNodes {
		return nil, fmt.Errorf("LB_NODES is %d: choose 1 to %d", nodes, MaxNodes)
	}
	if servers < 1 || servers > MaxServers {
		return nil, fmt.Errorf("SERVERS is %d: choose 1 to %d", servers, MaxServers)
	}
	t := &Topology{
		Client:       Link{V4: prefix("198.51.100.10/24"), V6: prefix("2001:db8:51::10/64")},
		RouterClient: Link{V4: prefix("198.51.100.1/24"), V6: prefix("2001:db8:51::1/64")},
		RouterNorth:  Link{V4: prefix("10.10.0.1/24"), V6: prefix("2001:db8:10::1/64")},
		Controller:   prefix("10.20.0.2/24"),

		ControllerControl: prefix("10.30.0.2/24"),
	}
	for i := 1; i <= nodes; i++ {
		t.Nodes = append(t.Nodes, Node{
			ID:        fmt.Sprintf("lb%d", i),
			Number:    i,
			Namespace: fmt.Sprintf("weir-lb%d", i),
			North:     prefix(fmt.Sprintf("10.10.0.%d/24", 10+i)),
			North6:    prefix(fmt.Sprintf("2001:db8:10::%d/64", 10+i)),
			South:     prefix(fmt.Sprintf("10.20.0.%d/24", 10+i)),
			Left:      prefix(fmt.Sprintf("10.10.0.%d/24", 100+2*i)),
			Right:     prefix(fmt.Sprintf("10.10.0.%d/24", 101+2*i)),
			Control:   prefix(fmt.Sprintf("10.30.0.%d/24", 10+i)),
		})
	}
	for i := 1; i <= servers; i++ {
		t.Servers = append(t.Servers, Server{
			ID:        fmt.Sprintf("srv%d", i),
			Number:    i,
			Namespace: fmt.Sprintf("weir-srv%d", i),
			Address:   prefix(fmt.Sprintf("10.20.0.%d/24", 100+i)),
		})
	}
	vip, vip6 := netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("2001:db8:100::10")
	t.VIPs = []Endpoint{
		{Name: "web", Address: vip, Address6: vip6, Port: 80, WhenAllUnhealthy: "reset"},
		{Name: "test", Address: vip, Address6: vip6, Port: 7000, WhenAllUnhealthy: "try_all"},
	}
	return t, nil
}

// FromEnv makes the description that LB_NODES (default 3) and SERVERS
// (default 4) ask for.
func FromEnv() (*Topology, error) {
	nodes, err := count("LB_NODES", 3)
	if err != nil {
		return nil, err
	}
	servers, err := count("SERVERS", 4)
	if err != nil {
		return nil, err
	}
	return New(nodes, servers)
}

func count(name string, otherwise int) (int, error) {
	v := os.Getenv(name)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, fmt.Errorf("%s is %q: give a number", name, v)
	}
	return n, nil
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
