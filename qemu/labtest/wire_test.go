package labtest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"weir/qemu/capture"
	"weir/qemu/topology"
)

// What may be on the two LANs beside client traffic. Hop-by-hop options come
// from the kernels' multicast listener reports.
const (
	neighbours    = "arp or icmp6 or (ip6 and ip6[6] == 0)"
	fabricControl = "(tcp and (port 6090 or port 6091 or port 6092 or port 9100))"
	fabricUDP     = "(udp and dst portrange 6080-6085)"
	northPings    = "(udp and dst port 6084)" // through the router (S-51)
)

// TestClientPacketsAreBareOnlyNorthOfTheNodes is S-3.
func TestClientPacketsAreBareOnlyNorthOfTheNodes(t *testing.T) {
	vip4, vip6 := web4().Addr(), web6().Addr()
	filters := map[string]struct{ device, filter string }{
		"strange on the fabric":   {"south", fmt.Sprintf("not (%s or %s or %s)", fabricUDP, fabricControl, neighbours)},
		"tunnels on the fabric":   {"south", "udp and dst port 6080"},
		"messages on the fabric":  {"south", "udp and dst port 6081"},
		"strange in the north":    {"north", fmt.Sprintf("not ((tcp and (host %v or host %v)) or (tcp and port 179) or %s or %s)", vip4, vip6, northPings, neighbours)},
		"bare TCP in the north":   {"north", fmt.Sprintf("tcp and (host %v or host %v)", vip4, vip6)},
		"BGP in the north":        {"north", "tcp and port 179"},
		"tunnels in the north":    {"north", "udp and not " + northPings},
		"pings in the north":      {"north", northPings},
		"bare TCP on the fabric":  {"south", fmt.Sprintf("tcp and (host %v or host %v)", vip4, vip6)},
		"IPv6 answers go out too": {"north", fmt.Sprintf("ip6 and tcp and src host %v", vip6)},
	}
	dir := scratch(t)
	captures := map[string]*capture.Capture{}
	for name, f := range filters {
		c, err := capture.Start(topology.FabricName, f.device, f.filter, filepath.Join(dir, name+".pcap"))
		if err != nil {
			t.Fatal(err)
		}
		captures[name] = c
	}
	tally := client().Requests(context.Background(), []netip.AddrPort{web4(), web6()}, 200, 10)
	for _, err := range tally.Lost {
		t.Error(err)
	}
	if _, err := client().Download(within(t, time.Minute), web4(), "/1m"); err != nil {
		t.Error(err)
	}
	// The nodes' keepalives are a second apart.
	eventually(t, 10*time.Second, func() error {
		if captures["BGP in the north"].Size() <= capture.HeaderSize {
			return errors.New("no BGP in the north")
		}
		return nil
	})
	for name, c := range captures {
		file, err := c.Stop()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wanted := map[string]bool{"tunnels on the fabric": true, "messages on the fabric": true, "bare TCP in the north": true, "IPv6 answers go out too": true,
			"BGP in the north": true, "pings in the north": true}
		switch n := len(file.Packets); {
		case wanted[name] && n == 0:
			t.Errorf("%s: nothing was seen", name)
		case !wanted[name] && n > 0:
			t.Errorf("%s: %d packets, see %s; the first: %x", name, n, dir, file.Packets[0].Data)
		}
	}
}
