package topology

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/services/config"
)

func TestEveryAddressIsUsedOnce(t *testing.T) {
	top, err := New(MaxNodes, MaxServers)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[netip.Addr]string{}
	use := func(who string, p netip.Prefix) {
		t.Helper()
		if other, taken := seen[p.Addr()]; taken {
			t.Errorf("%s has the address of %s: %v", who, other, p.Addr())
		}
		if last := p.Addr().As16(); p.Addr().Is4() && last[15] == 255 {
			t.Errorf("%s has the broadcast address %v", who, p.Addr())
		}
		seen[p.Addr()] = who
	}
	use("router", top.RouterNorth.V4)
	use("router", top.RouterNorth.V6)
	use("controller", top.Controller)
	use("controller", top.ControllerControl)
	for _, n := range top.Nodes {
		use(n.ID, n.North)
		use(n.ID, n.North6)
		use(n.ID, n.South)
		use(n.ID, n.Left)
		use(n.ID, n.Right)
		use(n.ID, n.Control)
	}
	for _, s := range top.Servers {
		use(s.ID, s.Address)
	}
}

func TestSizesBeyondTheAddressPlanAreRefused(t *testing.T) {
	for _, size := range [][2]int{{0, 4}, {MaxNodes + 1, 4}, {3, 0}, {3, MaxServers + 1}} {
		if _, err := New(size[0], size[1]); err == nil {
			t.Errorf("%d nodes and %d servers were accepted", size[0], size[1])
		}
	}
}

func TestSizesComeFromTheEnvironment(t *testing.T) {
	t.Setenv("LB_NODES", "5")
	t.Setenv("SERVERS", "")
	top, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if len(top.Nodes) != 5 || len(top.Servers) != 4 {
		t.Errorf("got %d nodes and %d servers, want 5 and 4", len(top.Nodes), len(top.Servers))
	}
	t.Setenv("SERVERS", "many")
	if _, err := FromEnv(); err == nil || !strings.Contains(err.Error(), "SERVERS") {
		t.Errorf("SERVERS=many gives %v, want an error that names it", err)
	}
}

func TestTheClusterFileNamesEveryMachine(t *testing.T) {
	top, err := New(3, 4)
	if err != nil {
		t.Fatal(err)
	}
	text, err := top.ClusterYAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"id: lb3", "10.10.0.13", "10.20.0.13", "left: 10.10.0.106, right: 10.10.0.107",
		"id: srv4", "10.20.0.104", "203.0.113.10", "2001:db8:100::10", "asn: 65000"} {
		if !strings.Contains(text, want) {
			t.Errorf("cluster.yaml lacks %q:\n%s", want, text)
		}
	}
}

func TestTheProgramsAcceptTheirConfiguration(t *testing.T) {
	top, err := New(3, 4)
	if err != nil {
		t.Fatal(err)
	}
	text, err := top.ClusterYAML()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.ParseCluster("cluster.yaml", []byte(text)); err != nil {
		t.Errorf("cluster.yaml: %v", err)
	}
	for failure, hold := range map[time.Duration]time.Duration{time.Second: 3 * time.Second, 5 * time.Second: 10 * time.Second} {
		top.FailureTime = failure
		text, err = top.ClusterYAML()
		if err != nil {
			t.Fatal(err)
		}
		c, err := config.ParseCluster("cluster.yaml", []byte(text))
		if err != nil || time.Duration(c.Health.Misses)*c.Health.Interval != failure || c.BGP.HoldTime != hold {
			t.Errorf("cluster.yaml of machines that may be silent for %v: %v", failure, err)
		}
	}
	certificate := Certificate{CA: "/lab/pki/ca.crt", Cert: "/lab/pki/it.crt", Key: "/lab/pki/it.key"}
	text, err = top.ConfigdYAML(ControllerPaths{Certificate: certificate, State: "/lab/controller/state"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.ParseConfigd("configd.yaml", []byte(text)); err != nil {
		t.Errorf("configd.yaml: %v", err)
	}
	text, err = top.NodeYAML(top.Nodes[0], NodePaths{Certificate: certificate, Run: "/lab/lb1/run", State: "/lab/lb1/state"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.ParseNode("node.yaml", []byte(text)); err != nil {
		t.Errorf("node.yaml: %v", err)
	}
	text, err = top.MachineYAML(top.Nodes[2], "node")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := config.ParseNode("node.yaml", []byte(text)); err != nil {
		t.Errorf("node.yaml of an appliance: %v", err)
	} else if n.Dataplane.North.Device != "mac:02:77:6c:62:00:03" || n.Machine.Control.Addresses[0].String() != "10.30.0.13/24" {
		t.Errorf("north is %s, control has %v", n.Dataplane.North.Device, n.Machine.Control.Addresses)
	}
	text, err = top.ModuleYAML(top.Servers[0], ServerPaths{Certificate: certificate, Run: "/lab/srv1/run", State: "/lab/srv1/state", Pins: "/sys/fs/bpf/weir/srv1", CGroup: "/sys/fs/cgroup/cpu/weir-srv1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.ParseModule("module.yaml", []byte(text)); err != nil {
		t.Errorf("module.yaml: %v", err)
	}
}
