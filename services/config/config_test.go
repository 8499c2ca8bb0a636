package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/dataplane/packet"
)

// copyTestdata gives a folder with the example files, the secrets readable by their owner only.
func copyTestdata(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"node.yaml", "cluster.yaml", "module.yaml", "cluster.key"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAllThreeFilesLoadWithTheirDefaults(t *testing.T) {
	dir := copyTestdata(t)
	n, err := LoadNode(filepath.Join(dir, "node.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if n.ClusterFile != filepath.Join(dir, "cluster.yaml") || n.RunDir != filepath.Join(dir, "run") {
		t.Errorf("paths are not relative to the file: %q %q", n.ClusterFile, n.RunDir)
	}
	if n.Dataplane.FilePrefix != "lb1" || n.BGP.Interface != "weir-north" || n.Dataplane.Held != 4096 || n.Dataplane.Memory != 64<<20 {
		t.Errorf("defaults: %+v", n.Dataplane)
	}
	if n.Dataplane.North.Kind() != DeviceAFPacket || n.Dataplane.North.Name() != "north0" {
		t.Errorf("north: %+v", n.Dataplane.North)
	}
	m, err := LoadModule(filepath.Join(dir, "module.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if m.BPFDir != "/sys/fs/bpf/weir-srv1" || m.Interface != "weir0" || m.Capacity.Bandwidth != 1000 {
		t.Errorf("module: %+v", m)
	}
	c, err := LoadCluster(n.ClusterFile)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 0 {
		t.Errorf("warnings: %q", c.Warnings)
	}
	if c.Servers[0].Weight != 100 || c.Servers[1].Weight != 50 || !c.Servers[0].Healthy || !c.Nodes[2].Has(RoleEgress) {
		t.Errorf("cluster: %+v", c)
	}
	if c.Endpoints[1].Ports != (Ports{7000, 7010}) || c.Endpoints[1].Serves("srv2") || !c.Endpoints[0].Serves("srv2") {
		t.Errorf("endpoints: %+v", c.Endpoints)
	}
	if c.BGP.Communities[0].String() != "65001:100" || c.BGP.HoldTime != 3*time.Second || string(c.Routers[0].Password) != "not for logs" {
		t.Errorf("bgp: %+v", c.BGP)
	}
	want := []netip.Prefix{netip.MustParsePrefix("203.0.113.10/32"), netip.MustParsePrefix("2001:db8:100::10/128")}
	if got := c.Prefixes(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("prefixes %v, want %v", got, want)
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	c, err := LoadCluster(filepath.Join(copyTestdata(t), "cluster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, s := range []string{fmt.Sprintf(verb, *c), fmt.Sprintf(verb, c.Keys), fmt.Sprintf(verb, c.Routers)} {
			for _, secret := range []string{"not for logs", "0001020304", "6e6f7420666f72", "0x0, 0x1, 0x2", "[0 1 2 3"} {
				if strings.Contains(s, secret) {
					t.Errorf("%s shows %q", verb, secret)
				}
			}
		}
	}
}

func TestFilesWithSecretsThatOthersCanReadAreWarnedOf(t *testing.T) {
	dir := copyTestdata(t)
	for _, name := range []string{"cluster.key", "cluster.yaml"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := LoadCluster(filepath.Join(dir, "cluster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 2 || !strings.Contains(c.Warnings[0], "chmod 600") {
		t.Errorf("warnings: %q", c.Warnings)
	}
}

func TestABadKeyFileIsRefusedAtItsLineWithoutShowingIt(t *testing.T) {
	for name, key := range map[string]string{
		"missing": "", "short": "abcd", "no digits": strings.Repeat("zz", 32), "zeros": strings.Repeat("0", 64),
	} {
		dir := copyTestdata(t)
		file := filepath.Join(dir, "cluster.key")
		if key == "" {
			os.Remove(file)
		} else if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadCluster(filepath.Join(dir, "cluster.yaml"))
		if err == nil || !strings.Contains(err.Error(), "cluster.yaml:2: key_file: ") || !strings.Contains(err.Error(), "openssl rand -hex 32") {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && key != "" && strings.Contains(err.Error(), key) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
}

func TestEveryUseOfTheKeyDiffersAndFollowsFromTheKeyAlone(t *testing.T) {
	k := soleKey(Key{1})
	other := soleKey(Key{2})
	seen := map[[2]uint64]string{}
	for name, w := range map[string][2]uint64{
		"control": {k.Seals()[0].K0, k.Seals()[0].K1}, "cookie": {k.Cookies()[0].K0, k.Cookies()[0].K1},
		"ring": k.Ring(), "ranking": k.Ranking(), "steering lb1": k.Secrets("lb1").Steering, "steering lb2": k.Secrets("lb2").Steering,
		"other key": other.Ring(),
	} {
		if first, ok := seen[w]; ok {
			t.Errorf("%s equals %s", name, first)
		}
		seen[w] = name
	}
	if again := soleKey(Key{1}); again.Ring() != k.Ring() {
		t.Error("the same key derives differently")
	}
}

func TestTheConfigOfANodeFollowsTheClusterFile(t *testing.T) {
	c, err := LoadCluster(filepath.Join(copyTestdata(t), "cluster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	before, err := LBNode(c, "lb1", nil)
	if err != nil {
		t.Fatal(err)
	}
	whole := before.Epoch
	c.Nodes[1].Healthy = false
	c.Servers[1].Healthy = false
	l, err := LBNode(c, "lb1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.Self != 1 || l.FabricMTU != 1500 || l.WScale != 7 || l.HoldBytes != 32<<10 || l.HoldPkts != 32 {
		t.Errorf("%+v", l)
	}
	if len(l.Nodes) != 3 || l.Nodes[1].Tracker || l.Nodes[1].Ingress || l.Nodes[1].Egress || !l.Nodes[2].Tracker {
		t.Errorf("nodes: %+v", l.Nodes)
	}
	if l.Nodes[0].Seed == l.Nodes[1].Seed || l.Nodes[0].Seed == 0 {
		t.Error("seeds do not distinguish nodes")
	}
	if l.Servers[1].Healthy || l.Servers[1].Weight != 50 {
		t.Errorf("servers: %+v", l.Servers)
	}
	e := l.Endpoints[1]
	if e.TTL != 4 || !e.MustAccept || !e.TryAll || e.PortLast != 7010 || len(e.Servers) != 1 || e.Servers[0] != 1 || e.Proto != 6 {
		t.Errorf("endpoint: %+v", e)
	}
	if len(l.Addresses[packet.North]) != 4 || len(l.Addresses[packet.South]) != 1 {
		t.Errorf("addresses: %v", l.Addresses)
	}
	if l.Epoch == whole || l.Epoch == 0 {
		t.Error("the epoch does not change with the ring")
	}
	if _, err := LBNode(c, "lb9", nil); err == nil || !strings.Contains(err.Error(), `"lb9"`) {
		t.Errorf("unknown node: %v", err)
	}
}

func TestCheckTellsTheKindAndFollowsTheNamedFiles(t *testing.T) {
	dir := copyTestdata(t)
	for _, kind := range []string{KindNode, KindCluster, KindModule} {
		got, warnings, err := Check(filepath.Join(dir, kind+".yaml"))
		if got != kind || err != nil || len(warnings) != 0 {
			t.Errorf("%s: %s %q %v", kind, got, warnings, err)
		}
	}
	for _, tc := range []struct{ file, old, new, want string }{
		{"node.yaml", "node: lb1", "node: lb9", `node: "lb9" is not in cluster lab; add it to the list nodes of `},
		{"module.yaml", "server: srv1", "server: srv9", `server: "srv9" is not in cluster lab; add it to the list servers of `},
		{"node.yaml", "cluster_file: cluster.yaml", "cluster_file: no.yaml", "no.yaml: no such file"},
	} {
		b, err := os.ReadFile(filepath.Join(dir, tc.file))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "changed.yaml")
		if err := os.WriteFile(path, []byte(strings.Replace(string(b), tc.old, tc.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Check(path); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s with %s: %v", tc.file, tc.new, err)
		}
	}
}
