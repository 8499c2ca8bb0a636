package lab

import (
	"net"
	"net/netip"

	"weir/qemu/netns"
	"weir/qemu/topology"
)

// Bridges of the fabric namespace, one per LAN.
const (
	northLAN = "north"
	southLAN = "south"

	controlLAN = "control" // where nodes are machines of their own
)

// sysctls of each kind of namespace. All of them belong to the namespace.
var (
	everywhere = map[string]string{
		// No duplicate address detection: nothing here is plugged in by chance.
		"net/ipv6/conf/all/accept_dad":     "0",
		"net/ipv6/conf/default/accept_dad": "0",
		"net/ipv6/conf/default/accept_ra":  "0",
	}
	ofRouter = map[string]string{
		"net/ipv4/ip_forward":          "1",
		"net/ipv6/conf/all/forwarding": "1",
		// A node's pings to another one go through the router (S-51): that is no
		// detour to be told about.
		"net/ipv4/conf/all/send_redirects":     "0",
		"net/ipv4/conf/default/send_redirects": "0",
		"net/ipv4/fib_multipath_hash_policy":   "1", // ECMP on ports
		"net/ipv6/fib_multipath_hash_policy":   "1",
	}
	ofFabric = map[string]string{
		"net/ipv6/conf/all/disable_ipv6":     "1",
		"net/ipv6/conf/default/disable_ipv6": "1",
	}
)

// buildNetwork makes all namespaces, links and addresses.
func (l *Lab) buildNetwork() error {
	t := l.Top
	if err := addNamespace(topology.FabricName, everywhere, ofFabric); err != nil {
		return err
	}
	for _, lan := range []string{northLAN, southLAN} {
		if err := netns.Bridge(topology.FabricName, lan, topology.MTU); err != nil {
			return err
		}
	}
	if err := addNamespace(topology.RouterName, everywhere, ofRouter); err != nil {
		return err
	}
	if err := addNamespace(topology.ClientName, everywhere); err != nil {
		return err
	}
	if err := l.wireClient(); err != nil {
		return err
	}
	if err := plug(topology.RouterName, "north0", "router", northLAN); err != nil {
		return err
	}
	if err := netns.Address(topology.RouterName, "north0", t.RouterNorth.V4, t.RouterNorth.V6); err != nil {
		return err
	}
	if err := l.wireController(); err != nil {
		return err
	}
	if err := l.kind.buildNetwork(); err != nil {
		return err
	}
	for _, n := range t.Nodes {
		if err := l.kind.wire(n); err != nil {
			return err
		}
	}
	for _, s := range t.Servers {
		if err := wireServer(s); err != nil {
			return err
		}
	}
	return nil
}

func wireServer(s topology.Server) error {
	if err := addNamespace(s.Namespace, everywhere); err != nil {
		return err
	}
	if err := plug(s.Namespace, "eth0", s.ID, southLAN); err != nil {
		return err
	}
	return netns.Address(s.Namespace, "eth0", s.Address)
}

// wireClient connects client and router. The rest of the Internet lies behind
// the client too, so answers to any invented source address have a way to go.
func (l *Lab) wireClient() error {
	t := l.Top
	if err := netns.Veth(topology.ClientName, "eth0", topology.RouterName, "client0", topology.MTU); err != nil {
		return err
	}
	if err := netns.Address(topology.ClientName, "eth0", t.Client.V4, t.Client.V6); err != nil {
		return err
	}
	if err := netns.Address(topology.RouterName, "client0", t.RouterClient.V4, t.RouterClient.V6); err != nil {
		return err
	}
	for _, r := range []struct {
		ns, name string
		via      netip.Addr
	}{
		{topology.ClientName, "eth0", t.RouterClient.V4.Addr()},
		{topology.ClientName, "eth0", t.RouterClient.V6.Addr()},
		{topology.RouterName, "client0", t.Client.V4.Addr()},
		{topology.RouterName, "client0", t.Client.V6.Addr()},
	} {
		if err := netns.DefaultRoute(r.ns, r.name, r.via); err != nil {
			return err
		}
	}
	return nil
}

// side is one of a node's NICs.
type side struct {
	lan, port string // the bridge, and the interface there
	mac       net.HardwareAddr
	addrs     []netip.Prefix // of the exception interface
}

// sidesOf are the NICs that the dataplane drives.
func sidesOf(n topology.Node) []side {
	return []side{
		{northLAN, n.ID + "-" + northLAN, n.MAC(topology.North), []netip.Prefix{n.North, n.Left, n.Right, n.North6}},
		{southLAN, n.ID + "-" + southLAN, n.MAC(topology.South), []netip.Prefix{n.South}},
	}
}

// plug connects an interface of a machine to a LAN.
func plug(ns, name, port, lan string) error {
	if err := netns.Veth(ns, name, topology.FabricName, port, topology.MTU); err != nil {
		return err
	}
	return netns.Enslave(topology.FabricName, port, lan)
}

func addNamespace(name string, settings ...map[string]string) error {
	if err := netns.Add(name); err != nil {
		return err
	}
	for _, some := range settings {
		for key, value := range some {
			if err := netns.Sysctl(name, key, value); err != nil {
				return err
			}
		}
	}
	return nil
}
