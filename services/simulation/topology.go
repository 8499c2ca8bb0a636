package simulation

import (
	"fmt"
	"net/netip"
	"strings"

	"weir/services/config"
)

// Addresses of the simulated cluster; the labs use the same.
var (
	Client4 = netip.MustParseAddr("198.51.100.10")
	Client6 = netip.MustParseAddr("2001:db8:51::10")
	VIP4    = netip.MustParseAddr("203.0.113.10")
	VIP6    = netip.MustParseAddr("2001:db8:100::10")
)

// ServicePort is where the simulated service listens.
const ServicePort = 80

func isVIP(a netip.Addr) bool { return a == VIP4 || a == VIP6 }

// MACs: the last byte is the component's number.
func accessMAC(n int) MAC     { return MAC{2, 0, 0, 0, 0, byte(n)} }
func routerMAC() MAC          { return MAC{2, 0, 0, 1, 0, 1} }
func nodeMAC(port, n int) MAC { return MAC{2, 0, 0, 2, byte(port), byte(n)} }
func serverMAC(n int) MAC     { return MAC{2, 0, 0, 3, 0, byte(n)} }

// clusterFile is the cluster file of a simulated cluster, in the product's own
// format. extra is added to the endpoint.
func clusterFile(nodes, servers int, extra string) string {
	var b strings.Builder
	b.WriteString("cluster: {name: simulation, id: 1}\nkey_file: cluster.key\nbgp: {asn: 65001}\nrouters:\n  - {address: 10.10.0.1, asn: 65000}\nnodes:\n")
	for i := 1; i <= nodes; i++ {
		fmt.Fprintf(&b, "  - {id: lb%d, number: %d, north: 10.10.0.%d, north6: \"2001:db8:10::%x\", south: 10.20.0.%d, bgp: {left: 10.10.0.%d, right: 10.10.0.%d}}\n",
			i, i, 10+i, 16+i, 10+i, 100+2*i, 101+2*i)
	}
	b.WriteString("servers:\n")
	for i := 1; i <= servers; i++ {
		fmt.Fprintf(&b, "  - {id: srv%d, number: %d, address: 10.20.0.%d}\n", i, i, 100+i)
	}
	fmt.Fprintf(&b, "endpoints:\n  - {name: web, addresses: [%s, \"%s\"], ports: %d%s}\n", VIP4, VIP6, ServicePort, extra)
	return b.String()
}

// parseCluster reads the file as the programs do; the key comes from the seed.
func parseCluster(sim *Sim, nodes, servers int, extra string) (*config.Cluster, error) {
	c, err := config.ParseCluster("simulation", []byte(clusterFile(nodes, servers, extra)))
	if err != nil {
		return nil, fmt.Errorf("cluster file of the simulation: %w", err)
	}
	r := sim.Rand("cluster key")
	var key config.Key
	for i := range key {
		key[i] = byte(r.Uint32())
	}
	c.Keys = config.KeySet{Base: key, Control: []config.ControlKey{{ID: 1, Key: key}}}
	return c, nil
}

// tuple is the i-th client port's connection, IPv6 for every second pair.
func tuple(i int) Tuple {
	if i%4 >= 2 {
		return Tuple{netip.AddrPortFrom(Client6, uint16(10000+i)), netip.AddrPortFrom(VIP6, ServicePort)}
	}
	return Tuple{netip.AddrPortFrom(Client4, uint16(10000+i)), netip.AddrPortFrom(VIP4, ServicePort)}
}
