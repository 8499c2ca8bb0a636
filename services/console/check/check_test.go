package check

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/services/api"
	"weir/services/config"
	"weir/services/console/facts"
	"weir/services/identity"
)

// fakeNetwork answers everything, except what a test breaks.
type fakeNetwork struct {
	connect, resolve, ping, big, tls, ntp error
	offset                                time.Duration
	tried                                 []string
}

func (f *fakeNetwork) Connect(_ context.Context, from netip.Addr, to netip.AddrPort) error {
	if to.Addr().String() == "10.10.0.1" {
		f.tried = append(f.tried, "tcp from "+from.String()+" to "+to.String())
	}
	return f.connect
}

func (f *fakeNetwork) Resolve(_ context.Context, iface string, _ netip.Addr) error {
	f.tried = append(f.tried, "arp on "+iface)
	return f.resolve
}

func (f *fakeNetwork) Ping(_ context.Context, _ netip.Addr, size int) error {
	if size > smallPing && f.big != nil {
		return f.big
	}
	return f.ping
}

func (f *fakeNetwork) Authenticate(context.Context, identity.Files, netip.AddrPort) error {
	return f.tls
}
func (f *fakeNetwork) ClockOffset(context.Context, netip.Addr) (time.Duration, error) {
	return f.offset, f.ntp
}
func (f *fakeNetwork) MTU(string) (int, error) { return 1500, nil }
func (f *fakeNetwork) Gateways(string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("10.30.0.1")}, nil
}

// healthy is a node with everything: two sessions, one of them for itself, one
// other node, a configuration service, a control network.
func healthy() *facts.Facts {
	file := &config.Node{Node: "lb1", Machine: &config.Machine{NTP: []netip.Addr{netip.MustParseAddr("10.30.0.2")}}}
	file.Machine.Control.Device = "mac:52:54:00:00:03:11"
	file.Machine.North.Gateway = netip.MustParseAddr("10.10.0.1")
	file.Dataplane.North.Exception, file.Dataplane.South.Exception = "weir-north", "weir-south"
	file.Service.Addresses = []netip.AddrPort{netip.MustParseAddrPort("10.30.0.3:6092")}
	return &facts.Facts{
		File: file,
		Boot: &api.BootStatus{
			Phases: []*api.Phase{{Name: "nics", Result: "ok"}},
			Nics: []*api.Nic{{Role: "north", Pci: "0000:00:03.0", Mac: "52:54:00:00:01:11", Driver: "vfio-pci"}, {Role: "south", Pci: "0000:00:04.0", Driver: "vfio-pci"},
				{Role: "control", Mac: "52:54:00:00:03:11", Driver: "virtio_net"}},
		},
		Dataplane: &api.DataplaneStatus{Ports: []*api.Port{{Name: "north", LinkUp: true, Device: "pci:0000:00:03.0"}, {Name: "south", LinkUp: true, Device: "pci:0000:00:04.0"}}},
		Node: &api.NodeStatus{Id: "lb1", Cluster: "lab",
			Nodes: []*api.NodeView{{Id: "lb1", Health: "healthy", South: "10.20.0.11"}, {Id: "lb2", Health: "healthy", South: "10.20.0.12", RttNorthMs: 0.4, RttSouthMs: 0.5}},
			Bgp:   []*api.BgpSession{{Advertises: "lb2", Peer: "10.10.0.1", Source: "10.10.0.111", State: "established"}}},
		Links: []facts.Link{{Name: "eth0", MAC: "52:54:00:00:03:11", Up: true}, {Name: "weir-north", Up: true}, {Name: "weir-south", Up: true}},
	}
}

// bgpDown takes the session of healthy down for a reason.
func bgpDown(f *facts.Facts, reason string) {
	f.Node.Bgp[0].State, f.Node.Bgp[0].Reason = "connecting", reason
}

func TestCausesAreNamed(t *testing.T) {
	timeout := context.DeadlineExceeded
	for name, c := range map[string]struct {
		change func(f *facts.Facts, n *fakeNetwork)
		want   []string // beginnings of lines; all that fail must be among them
	}{
		"nothing is wrong": {func(*facts.Facts, *fakeNetwork) {}, nil},
		"the north link is down": {func(f *facts.Facts, _ *fakeNetwork) {
			f.Dataplane.Ports[0].LinkUp = false
			bgpDown(f, "the router is unreachable")
		}, []string{
			"FAILED  north link: no carrier on pci:0000:00:03.0; check cable",
			"FAILED  router 10.10.0.1: not reachable: the north link is down",
			"FAILED  BGP for lb2 with 10.10.0.1: connecting: the north link is down"}},
		"BGP is refused": {func(f *facts.Facts, n *fakeNetwork) {
			n.connect = syscall.ECONNREFUSED
			bgpDown(f, "the router refuses connections")
			f.File.Service.Addresses = nil
		}, []string{
			"FAILED  TCP 10.10.0.1:179: the router refuses: nothing listens there; start BGP on the router",
			"FAILED  BGP for lb2 with 10.10.0.1: connecting: the router refuses connections"}},
		"BGP is filtered": {func(f *facts.Facts, n *fakeNetwork) {
			n.connect = timeout
			bgpDown(f, "no answer")
			f.File.Service.Addresses = nil
		}, []string{
			"FAILED  TCP 10.10.0.1:179: no answer, although the router answers ARP; look for a filter",
			"FAILED  BGP for lb2"}},
		"a session's source is missing": {func(f *facts.Facts, n *fakeNetwork) {
			n.connect = syscall.EADDRNOTAVAIL
			bgpDown(f, "source")
			f.File.Service.Addresses = nil
		}, []string{
			"FAILED  TCP 10.10.0.1:179: 10.10.0.111, the session's source, is not on this node; add it to machine.north.addresses",
			"FAILED  BGP for lb2"}},
		"BGP is wrong": {func(f *facts.Facts, _ *fakeNetwork) { bgpDown(f, "the router closed the connection") }, []string{
			"FAILED  BGP for lb2 with 10.10.0.1: connecting: the router closed the connection; compare AS numbers"}},
		"the router is off": {func(f *facts.Facts, n *fakeNetwork) { n.resolve = errors.New("no answer"); bgpDown(f, "unreachable") }, []string{
			"FAILED  router 10.10.0.1: does not answer ARP or ND on weir-north: no answer; is the router up",
			"FAILED  BGP for lb2", "FAILED  control gateway 10.30.0.1: does not answer ARP: no answer"}},
		"the north NIC is not there": {func(f *facts.Facts, _ *fakeNetwork) {
			f.Boot.Nics = f.Boot.Nics[1:]
			f.Boot.Phases[0].Result, f.Boot.Phases[0].Reason, f.Boot.Phases[0].Remedy = "failed", "no NIC has 52:54:00:00:01:11", "correct dataplane.north.device"
			f.Dataplane, f.DataplaneErr, f.Node, f.NodeErr = nil, errors.New("dataplane is not running"), nil, errors.New("noded is not running")
		}, []string{
			"FAILED  north NIC: no NIC has 52:54:00:00:01:11; correct dataplane.north.device",
			"FAILED  dataplane: dataplane is not running; no packet crosses the NICs",
			"FAILED  control plane: noded is not running",
			"FAILED  router 10.10.0.1: not reachable: there is no north NIC"}},
		"an exception interface is gone": {func(f *facts.Facts, _ *fakeNetwork) { f.Links = f.Links[:2] }, []string{
			"FAILED  south exception path: interface weir-south is missing"}},
		"a node is dead": {func(f *facts.Facts, n *fakeNetwork) {
			f.Node.Nodes[1].Health = "unhealthy"
			n.ping = errors.New("no answer")
		}, []string{
			"FAILED  node lb2: unhealthy; 10.20.0.12 does not answer on the fabric: no answer; is that node up"}},
		"a node is sick": {func(f *facts.Facts, _ *fakeNetwork) { f.Node.Nodes[1].Health = "suspect" }, []string{
			"FAILED  node lb2: suspect, but 10.20.0.12 answers on the fabric"}},
		"the fabric is too narrow": {func(_ *facts.Facts, n *fakeNetwork) { n.big = errors.New("no answer") }, []string{
			"FAILED  fabric MTU: small packets reach lb2, packets of 1500 bytes do not: no answer; raise the MTU"}},
		"the certificate is refused": {func(_ *facts.Facts, n *fakeNetwork) { n.tls = errors.New("certificate has expired") }, []string{
			"FAILED  configuration service 10.30.0.3:6092: TCP connects, TLS does not: certificate has expired; compare"}},
		"the configuration service is unreachable": {func(_ *facts.Facts, n *fakeNetwork) { n.connect = syscall.EHOSTUNREACH }, []string{
			"FAILED  configuration service 10.30.0.3:6092: there is no way to it"}},
		"the control link is down": {func(f *facts.Facts, n *fakeNetwork) { f.Links[0].Up = false; n.connect, n.ntp = timeout, timeout }, []string{
			"FAILED  control link: no carrier on eth0", "FAILED  control network: the control link is down",
			"FAILED  configuration service 10.30.0.3:6092: no answer", "FAILED  NTP 10.30.0.2: does not answer"}},
		"the clock is wrong": {func(_ *facts.Facts, n *fakeNetwork) { n.offset = -time.Hour }, []string{"FAILED  NTP 10.30.0.2: the clock is off by -1h0m0s"}},
		"nobody answers": {func(f *facts.Facts, _ *fakeNetwork) {
			*f = facts.Facts{BootErr: errors.New("init does not answer"), NodeErr: errors.New("noded is not running"), DataplaneErr: errors.New("dataplane is not running"), FileErr: errors.New("none")}
		}, []string{"FAILED  network cards: init does not answer", "FAILED  configuration: none is in force", "FAILED  dataplane", "FAILED  control plane"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, n := healthy(), &fakeNetwork{}
			c.change(f, n)
			var failed []string
			Run(t.Context(), f, n, func(r Result) {
				t.Log(r)
				if r.Outcome == Failed {
					failed = append(failed, r.String())
				}
			})
			for i := range max(len(failed), len(c.want)) {
				if i >= len(failed) || i >= len(c.want) || !strings.HasPrefix(failed[i], c.want[i]) {
					t.Fatalf("failed:\n%s\nwant:\n%s", strings.Join(failed, "\n"), strings.Join(c.want, "\n"))
				}
			}
		})
	}
}

func TestBGPIsTriedAsTheSessionWould(t *testing.T) {
	f, n := healthy(), &fakeNetwork{}
	bgpDown(f, "")
	f.Node.Bgp[0].Port = 1179
	Run(t.Context(), f, n, func(Result) {})
	if got := strings.Join(n.tried, ", "); !strings.Contains(got, "arp on weir-north, tcp from 10.10.0.111 to 10.10.0.1:1179") {
		t.Error(got)
	}
}

func TestAnInterruptedRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	Run(ctx, healthy(), &fakeNetwork{}, func(Result) { n++; cancel() })
	if n > 5 {
		t.Errorf("%d checks went on", n)
	}
}
