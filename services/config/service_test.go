package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const fromService = "config_service: {addresses: [\"10.30.0.2:6092\", \"10.30.0.3:6092\"], ca: ca.crt, cert: lb1.crt, key: lb1.key}"

func TestTheConfigurationHasExactlyOneSource(t *testing.T) {
	for _, file := range []struct {
		name, remedy string
		parse        func(string, []byte) error
	}{
		{"node.yaml", "", func(f string, b []byte) error { _, err := ParseNode(f, b); return err }},
		{"module.yaml", "", func(f string, b []byte) error { _, err := ParseModule(f, b); return err }},
	} {
		checkRefusals(t, file.name, file.parse, []refusal{
			{"none", "cluster_file: cluster.yaml\n", "", file.name + ":1: cluster_file: is missing; add it, or config_service"},
			{"both", "cluster_file: cluster.yaml", "cluster_file: cluster.yaml\n" + fromService,
				file.name + ":3: config_service: cluster_file is given too, and the configuration has one source; remove one of them"},
			{"no certificate", "cluster_file: cluster.yaml", strings.Replace(fromService, "cert: lb1.crt, ", "", 1),
				file.name + ":2: config_service.cert: is missing; add the key"},
			{"no address", "cluster_file: cluster.yaml", strings.Replace(fromService, "\"10.30.0.2:6092\", \"10.30.0.3:6092\"", "", 1),
				file.name + ":2: config_service.addresses: no addresses; add at least one"},
		})
	}
}

func TestPathsOfTheServiceAreRelativeToTheFile(t *testing.T) {
	dir := t.TempDir()
	good, err := os.ReadFile("testdata/node.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "node.yaml")
	if err := os.WriteFile(path, []byte(strings.Replace(string(good), "cluster_file: cluster.yaml", fromService, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := LoadNode(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := &n.Service; !s.InUse() || len(s.Addresses) != 2 || s.CA != filepath.Join(dir, "ca.crt") || s.Key != filepath.Join(dir, "lb1.key") || n.ClusterFile != "" {
		t.Errorf("%+v, %q", s, n.ClusterFile)
	}
	if kind, _, err := Check(path); kind != KindNode || err != nil {
		t.Errorf("%s, %v", kind, err)
	}
}

func TestABadConfigdFileIsRefusedWithItsLine(t *testing.T) {
	parse := func(f string, b []byte) error { _, err := ParseConfigd(f, b); return err }
	checkRefusals(t, "configd.yaml", parse, []refusal{
		{"listen", "10.30.0.2:6092", "10.30.0.2", `configd.yaml:1: listen: "10.30.0.2" is not an address with a port; write it like 10.0.0.1:9100 or "[2001:db8::1]:9100"`},
		{"no certificate", "cert: pki/configd-main.crt\n", "", `configd.yaml:1: cert: is missing; add the key`},
		{"half a certificate", "  key: pki/etcd.key\n", "", `configd.yaml:6: etcd: ca, cert and key do not go together; give ca, and cert and key both or neither`},
		{"no endpoints", `["https://10.30.0.11:2379", "https://10.30.0.12:2379"]`, "[]", `configd.yaml:7: etcd.endpoints: no endpoints; add the addresses of its members, or remove etcd to use the embedded one`},
	})
	if c, err := LoadConfigd("testdata/configd.yaml"); err != nil || !filepath.IsAbs(c.StateDir) || !c.Etcd.External() {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAClusterFileWithoutAKeyFileIsForTheService(t *testing.T) {
	text, err := os.ReadFile("testdata/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "key_file: cluster.key\n", "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadCluster(path); err == nil || !strings.Contains(err.Error(), "key_file: is missing") {
		t.Errorf("read as a file: %v", err)
	}
	if kind, warnings, err := Check(path); kind != KindCluster || len(warnings) != 1 || err != nil {
		t.Errorf("%s, %q, %v", kind, warnings, err)
	}
}
