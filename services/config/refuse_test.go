package config

import (
	"os"
	"strings"
	"testing"
)

// A refusal changes one piece of a good file and names the whole error.
type refusal struct {
	name, old, new string
	want           string
}

func checkRefusals(t *testing.T, file string, parse func(string, []byte) error, table []refusal) {
	t.Helper()
	good, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if err := parse(file, good); err != nil {
		t.Fatalf("the example itself: %v", err)
	}
	for _, r := range table {
		t.Run(r.name, func(t *testing.T) {
			if strings.Count(string(good), r.old) == 0 {
				t.Fatalf("%q is not in %s", r.old, file)
			}
			err := parse(file, []byte(strings.Replace(string(good), r.old, r.new, 1)))
			if err == nil {
				t.Fatal("accepted")
			}
			if got := err.Error(); got != r.want {
				t.Errorf("\n got %s\nwant %s", got, r.want)
			}
		})
	}
}

func TestABadNodeFileIsRefusedWithItsLine(t *testing.T) {
	parse := func(f string, b []byte) error { _, err := ParseNode(f, b); return err }
	checkRefusals(t, "node.yaml", parse, []refusal{
		{"unknown key", "run_dir: run", "rundir: run", `node.yaml:3: rundir: unknown key; known here: node, cluster_file, config_service, run_dir, state_dir, dataplane, metrics, bgp, machine, updates`},
		{"key twice", "run_dir: run", "run_dir: run\nrun_dir: run", `node.yaml:4: run_dir: the key is given twice, first in line 3; remove one of them`},
		{"missing key", "node: lb1\n", "", `node.yaml:1: node: is missing; add the key`},
		{"missing nested key", `, exception: weir-north`, "", `node.yaml:6: dataplane.north.exception: is missing; add the key`},
		{"empty value", "run_dir: run", "run_dir:", `node.yaml:3: run_dir: has no value; give a value or remove the key`},
		{"number for text", "node: lb1", "node: 7", `node.yaml:1: node: is a number where text belongs; put it in quotes`},
		{"text for number", "flows: 262144", "flows: many", `node.yaml:10: dataplane.flows: is text where a whole number belongs`},
		{"fraction", "flows: 262144", "flows: 2.5", `node.yaml:10: dataplane.flows: is a number where a whole number belongs`},
		{"octal", "flows: 262144", "flows: 010", `node.yaml:10: dataplane.flows: 010 is not a plain decimal number; write it without a leading zero`},
		{"negative", "flows: 262144", "flows: -1", `node.yaml:10: dataplane.flows: -1 is out of range; write a whole number from 0 to 9223372036854775807`},
		{"too few", "flows: 262144", "flows: 1", `node.yaml:10: dataplane.flows: 1 is out of range, 1024 to 67108864`},
		{"size", "64MiB", "64MB", `node.yaml:5: dataplane.memory: "64MB" is not a size; write a whole number with B, KiB, MiB or GiB, like 64MiB`},
		{"odd memory", "64MiB", "65MiB", `node.yaml:5: dataplane.memory: 65MiB is not a usable amount of hugepage memory; write a multiple of 2MiB, 16MiB or more`},
		{"device", "af_packet:north0", "eth0", `node.yaml:6: dataplane.north.device: "eth0" is not a device; write pci:ADDRESS or mac:ADDRESS, or af_packet:INTERFACE for north and south`},
		{"pci", "af_packet:north0", "pci:3.0", `node.yaml:6: dataplane.north.device: "3.0" is not a PCI address; write it like pci:0000:00:03.0`},
		{"same device", "south0", "north0", `node.yaml:7: dataplane.south.device: is the same device as north; give each side its own`},
		{"long interface", "weir-south", "weir-south-exception", `node.yaml:7: dataplane.south.exception: "weir-south-exception" is not an interface name; an interface name has 1 to 15 characters, no space, slash or colon`},
		{"idle", "idle: adaptive", "idle: lazy", `node.yaml:9: dataplane.idle: "lazy" is not known; use one of: adaptive, poll`},
		{"pipeline without cores", "mode: single", "mode: pipeline", `node.yaml:8: dataplane.layout: mode pipeline needs receive and transmit cores; name one core for both sides, or one per side, in rx and in tx (and 1 more)`},
		{"core twice", "mode: single", "mode: pipeline, rx: [1], tx: [2], workers: [2]", `node.yaml:8: dataplane.layout.workers[0]: core 2 is already in tx; give every stage its own core`},
		{"single with cores", "mode: single", "mode: single, rx: [1]", `node.yaml:8: dataplane.layout: mode single runs all stages on one core; remove rx and tx, or use mode pipeline`},
		{"metrics without port", "10.20.0.11:9100", "10.20.0.11", `node.yaml:12: metrics: "10.20.0.11" is not an address with a port; write it like 10.0.0.1:9100 or "[2001:db8::1]:9100"`},
		{"list for mapping", "layout: {mode: single}", "layout: [single]", `node.yaml:8: dataplane.layout: is a list where a mapping belongs; write keys and values`},
		{"alias", "run_dir: run", "run_dir: &a run", `node.yaml:3: run_dir: anchors and aliases are not supported; write the value out`},
		{"second document", "metrics:", "---\nmetrics:", `node.yaml:12: a second document; one file holds one document`},
		{"syntax", "layout: {mode: single}", "layout: {mode: single", `node.yaml:8: not YAML: did not find expected ',' or '}'`},
	})
}

func TestABadModuleFileIsRefusedWithItsLine(t *testing.T) {
	parse := func(f string, b []byte) error { _, err := ParseModule(f, b); return err }
	checkRefusals(t, "module.yaml", parse, []refusal{
		{"unknown key", "server: srv1", "server: srv1\nport: 80", `module.yaml:2: port: unknown key; known here: server, cluster_file, config_service, run_dir, state_dir, bpf_dir, interface, uplink, cgroup, capacity`},
		{"relative cgroup", "/sys/fs/cgroup/cpu/weir-srv1", "weir-srv1", `module.yaml:4: cgroup: "weir-srv1" is not an absolute path; write a path that begins with /`},
		{"capacity", "100000", "1", `module.yaml:5: capacity.connections: 1 is out of range, 64 to 16777216`},
		{"same interface", "server: srv1", "server: srv1\nuplink: weir0", `module.yaml:2: uplink: is the same as interface; the module makes its own interface; name the existing one here`},
	})
}

func TestABadClusterFileIsRefusedWithItsLine(t *testing.T) {
	parse := func(f string, b []byte) error { _, err := ParseCluster(f, b); return err }
	checkRefusals(t, "cluster.yaml", parse, []refusal{
		{"number zero", "number: 1, north", "number: 0, north", `cluster.yaml:5: nodes[0].number: 0 is out of range, 1 to 65534`},
		{"number of no node", "number: 1, north", "number: 65535, north", `cluster.yaml:5: nodes[0].number: 65535 is out of range, 1 to 65534`},
		{"number too large", "number: 1, north", "number: 70000, north", `cluster.yaml:5: nodes[0].number: 70000 is out of range; write a whole number from 0 to 65535`},
		{"same number", "number: 2, north", "number: 1, north", `cluster.yaml:6: nodes[1].number: number 1 is already used by nodes[0].number; give each its own`},
		{"same id", "id: lb2", "id: lb1", `cluster.yaml:6: nodes[1].id: id lb1 is already used by nodes[0].id; give each its own`},
		{"same address", "south: 10.20.0.12", "south: 10.10.0.11", `cluster.yaml:6: nodes[1].south: 10.10.0.11 is already used by nodes[0].north; give each its own`},
		{"same slots", "right: 10.10.0.103", "right: 10.10.0.102", `cluster.yaml:5: nodes[0].bgp.right: 10.10.0.102 is already used by nodes[0].bgp.left; give each its own`},
		{"slot missing", ", right: 10.10.0.105", "", `cluster.yaml:6: nodes[1].bgp.right: is missing; add the address from which it announces its right neighbour`},
		{"wrong family north", "north: 10.10.0.11", `north: "2001:db8::1"`, `cluster.yaml:5: nodes[0].north: 2001:db8::1 is not an IPv4 address; the fabric and BGP sessions use IPv4`},
		{"wrong family north6", `north6: "2001:db8:10::11"`, `north6: 10.0.0.1`, `cluster.yaml:5: nodes[0].north6: 10.0.0.1 is not an IPv6 address`},
		{"north6 missing", `, north6: "2001:db8:10::11"`, ``, `cluster.yaml:5: nodes[0]: endpoint web has an IPv6 address, and node lb1 no IPv6 next hop; add north6`},
		{"not an address", "10.20.0.101", "10.20.0", `cluster.yaml:9: servers[0].address: "10.20.0" is not an IP address; write it like 10.0.0.1 or "2001:db8::1"`},
		{"multicast", "10.20.0.101", "224.0.0.1", `cluster.yaml:9: servers[0].address: 224.0.0.1 cannot be the address of a machine; use a unicast address of the network`},
		{"role", "bgp: {left: 10.10.0.102, right: 10.10.0.103}", "bgp: {left: 10.10.0.102, right: 10.10.0.103}, roles: [ingres]", `cluster.yaml:5: nodes[0].roles[0]: "ingres" is not known; use one of: ingress, tracker, egress`},
		{"weight", "weight: 50", "weight: 0", `cluster.yaml:10: servers[1].weight: 0 is out of range, 1 to 65535`},
		{"public address of a machine", "[203.0.113.10, \"2001:db8:100::10\"], ports: 80", "[10.20.0.101], ports: 80", `cluster.yaml:12: endpoints[0].addresses[0]: 10.20.0.101 is already used by servers[0].address; a public address belongs to no single machine`},
		{"overlapping ports", "7000-7010", "79-81", `cluster.yaml:14: endpoints[1].addresses[0]: 203.0.113.10 port 79-81 overlaps endpoints[0].addresses[0] port 80; one address and port belongs to one endpoint (and 1 more)`},
		{"port range backwards", "7000-7010", "7010-7000", `cluster.yaml:15: endpoints[1].ports: the range 7010-7000 ends before it begins; write the smaller port first`},
		{"port zero", "ports: 80", "ports: 0", `cluster.yaml:12: endpoints[0].ports: "0" is not a port or a range of ports; write 80 or 7000-7010, from 1 to 65535`},
		{"udp", "ports: 80", "ports: 80, protocol: udp", `cluster.yaml:12: endpoints[0].protocol: "udp" is not known; use one of: tcp`},
		{"servers text", "servers: [srv1]", "servers: srv1", `cluster.yaml:16: endpoints[1].servers: "srv1" is not a list of ids; write all, or a list of ids`},
		{"servers unknown", "servers: [srv1]", "servers: [srv7]", `cluster.yaml:16: endpoints[1].servers: no server has the id "srv7"; name an id of the list servers`},
		{"servers twice", "servers: [srv1]", "servers: [srv1, srv1]", `cluster.yaml:16: endpoints[1].servers: srv1 is named twice; name it once`},
		{"servers none", "servers: [srv1]", "servers: []", `cluster.yaml:16: endpoints[1].servers: no servers; write all, or a list of ids`},
		{"offers none", "offers: 4", "offers: 0", `cluster.yaml:17: endpoints[1].offers: 0 is out of range, 1 to 255 (and 1 more)`},
		{"offers too many", "offers: 4", "offers: 256", `cluster.yaml:17: endpoints[1].offers: 256 is out of range, 1 to 255`},
		{"accept after the last", "accept_after: 2", "accept_after: 4", `cluster.yaml:18: endpoints[1].accept_after: 4 rejections are never reached with 4 offers; write a number below offers, or 0 for never`},
		{"policy", "last_accepts", "shrug", `cluster.yaml:19: endpoints[1].when_exhausted: "shrug" is not known; use one of: reset, last_accepts`},
		{"hold time", "hold_time: 3s", "hold_time: 1s", `cluster.yaml:23: bgp.hold_time: 1s is not a hold time; write whole seconds, 3s or more`},
		{"hold time form", "hold_time: 3s", "hold_time: 3", `cluster.yaml:23: bgp.hold_time: "3" is not a duration; write it like 3s or 100ms`},
		{"own AS", "bgp: {asn: 65001, ", "bgp: {", `cluster.yaml:23: bgp.asn: is missing, and there are routers; add the autonomous system of the LB nodes`},
		{"community", `"65001:100"`, `"65001"`, `cluster.yaml:23: bgp.communities[0]: "65001" is not a community; write two numbers up to 65535, like 65001:100`},
		{"long password", "not for logs", strings.Repeat("x", 81), `cluster.yaml:22: routers[0].password: is too long for TCP MD5; use 80 characters at most`},
		{"truth value", "ttl_security: true", "ttl_security: 1", `cluster.yaml:22: routers[0].ttl_security: is a number where a truth value belongs; write true or false`},
		{"thresholds fall", "{utilization: 98, reject: 100}", "{utilization: 70, reject: 100}", `cluster.yaml:28: admission.thresholds[1].utilization: 70 does not rise above the step before, 80; list the steps from low to high`},
		{"rejection falls", "{utilization: 98, reject: 100}", "{utilization: 98, reject: 10}", `cluster.yaml:28: admission.thresholds[1].reject: 10 is below the step before, 20; a busier server rejects no less`},
		{"per cent", "{utilization: 98, reject: 100}", "{utilization: 98, reject: 101}", `cluster.yaml:28: admission.thresholds[1].reject: 101 is out of range, 0 to 100`},
		{"mtu", "fabric_mtu: 1500", "fabric_mtu: 1280", `cluster.yaml:3: fabric_mtu: 1280 is out of range, 1308 to 1500`},
		{"mtu of large frames", "fabric_mtu: 1500", "fabric_mtu: 9000", `cluster.yaml:3: fabric_mtu: 9000 is out of range, 1308 to 1500`},
		{"text for list", "communities: [\"65001:100\"]", "communities: none", `cluster.yaml:23: bgp.communities: is text where a list belongs; write a list: [a, b]`},
		{"health interval", "fabric_mtu: 1500", "fabric_mtu: 1500\nhealth: {interval: 1ms}", `cluster.yaml:4: health.interval: 1ms is out of range; write 20ms to 10s`},
		{"server check", "accept_after: 2", "check: {type: icmp, port: 80}", `cluster.yaml:18: endpoints[1].check.type: "icmp" is not known; use one of: http, tcp`},
		{"server check without port", "accept_after: 2", "check: {type: tcp}", `cluster.yaml:18: endpoints[1].check.port: 0 is out of range, 1 to 65535`},
		{"no nodes", "nodes:\n", "nodes: []\nservers_of_old:\n", `cluster.yaml:5: servers_of_old: unknown key; known here: cluster, key_file, fabric_mtu, handshake, nodes, servers, endpoints, routers, bgp, admission, publishing, health`},
	})
}

func TestAnEmptyFileIsRefused(t *testing.T) {
	for _, s := range []string{"", "# nothing\n", "---\n"} {
		if _, err := ParseNode("node.yaml", []byte(s)); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}

func TestOneMisspeltKeyDoesNotHideTheOthers(t *testing.T) {
	_, err := ParseNode("n", []byte("node: 1\nx: 2\ny: 3\n"))
	errs, ok := err.(Errors)
	if !ok || len(errs) < 4 {
		t.Fatalf("%v", err)
	}
	for i := 1; i < len(errs); i++ {
		if errs[i].Line < errs[i-1].Line {
			t.Errorf("not in the order of lines: %v", errs)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"node.yaml", "cluster.yaml", "module.yaml"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, s := range []string{"", "a: &a [*a]", "{", "- - -", "<<: {node: x}", "? [a]\n: b", "!!binary x: 1", "node: !!map {}", "a: 1\n---\nb: 2"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, err := range []error{
			func() error { _, err := ParseNode("f", b); return err }(),
			func() error { _, err := ParseModule("f", b); return err }(),
		} {
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of more than one line: %q", err)
			}
		}
		c, err := ParseCluster("f", b)
		if err != nil {
			return
		}
		// What is accepted must make a configuration for each of its nodes.
		for _, m := range c.Nodes {
			if _, err := LBNode(c, m.ID, nil); err != nil {
				t.Error(err)
			}
		}
	})
}
