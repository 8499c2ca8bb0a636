package config

import (
	"strings"
	"testing"
)

const provisiondFile = `interface: prov0
address: 10.40.0.1
authority: pki
cert: pki/provisiond-main.crt
key: pki/provisiond-main.key
images: images
version: 0.5.0
template: node.yaml.tmpl
dhcp:
  mode: server
  prefix: 10.40.0.0/24
  first: 10.40.0.100
  last: 10.40.0.199
  router: 10.40.0.1
  reservations: [{mac: "52:54:00:12:34:56", address: 10.40.0.11}]
machines:
  - id: lb1
    macs: ["52:54:00:12:34:56"]
    uuid: 4c4c4544-0033-3310-8051-b4c04f4b3132
    values: [{name: south, value: 10.20.0.11/24}]
  - {id: srv1, role: server, serial: ABC123}
`

func TestAProvisiondFileIsReadWithItsDefaults(t *testing.T) {
	p, err := ParseProvisiond("p.yaml", []byte(provisiondFile))
	if err != nil {
		t.Fatal(err)
	}
	if p.HTTPPort != BootPort || p.EnrolPort != EnrolPort || !p.Metrics.Addr().IsLoopback() || p.DHCP.Lease == 0 || p.Machines[0].Role != RoleNode || p.Machines[1].Serial != "ABC123" {
		t.Errorf("%+v", p)
	}
	err = p.Fault(0, "values", strings.NewReader("x").UnreadByte())
	if err == nil || !strings.HasPrefix(err.Error(), "p.yaml:20: machines[0].values: ") {
		t.Errorf("a fault is %v", err)
	}
}

func TestMistakesInAProvisiondFileAreNamedWithTheirLine(t *testing.T) {
	for want, change := range map[string][2]string{
		`p.yaml:2: address: fe80::1 is not an IPv4 address`:              {"10.40.0.1\nauth", "\"fe80::1\"\nauth"},
		`p.yaml:7: version: "../x" is not a version`:                     {"0.5.0", "../x"},
		`p.yaml:12: dhcp.first: the pool holds this machine's own addre`: {"10.40.0.100", "10.40.0.0"},
		`p.yaml:13: dhcp.last: the pool has -1 addresses`:                {"10.40.0.199", "10.40.0.98"},
		`p.yaml:13: dhcp.last: 10.41.0.1 is not in 10.40.0.0/24`:         {"10.40.0.199", "10.41.0.1"},
		`p.yaml:10: dhcp.mode: "both" is not known`:                      {"mode: server", "mode: both"},
		`p.yaml:11: dhcp.prefix: mode proxy gives nobody`:                {"mode: server", "mode: proxy"},
		`p.yaml:18: machines[0].macs[0]: "52:54:00:12:34:5G" is not`:     {"macs: [\"52:54:00:12:34:56", "macs: [\"52:54:00:12:34:5G"},
		`p.yaml:20: machines[0].values[0].name: "a-b" is not a name`:     {"name: south", "name: a-b"},
		`p.yaml:21: machines[1].role: "router" is not known`:             {"role: server", "role: router"},
		`p.yaml:17: machines[0]: there is no template`:                   {"template: node.yaml.tmpl\n", "command_line: quiet\n"},
		`p.yaml:8: templates: unknown key`:                               {"template:", "templates:"},
	} {
		_, err := ParseProvisiond("p.yaml", []byte(strings.Replace(provisiondFile, change[0], change[1], 1)))
		if err == nil {
			t.Errorf("%s: accepted", change[1])
			continue
		}
		var lines []string
		for _, e := range err.(Errors) {
			lines = append(lines, e.Error())
		}
		if all := strings.Join(lines, "\n"); !strings.Contains(all, want) {
			t.Errorf("%s:\n%s\nwant %s", change[1], all, want)
		}
	}
}
