package config

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

const machineYAML = `node: lb1
cluster_file: cluster.yaml
dataplane:
  memory: 64MiB
  north: {device: "mac:52:54:00:00:00:01", exception: weir-north}
  south: {device: "pci:0000:00:04.0", exception: weir-south}
machine:
  north: {addresses: [10.10.0.11/24, "2001:db8:10::11/64"], gateway: 10.10.0.1, gateway6: "2001:db8:10::1"}
  south: {addresses: [10.20.0.11/24]}
  control: {device: "mac:52:54:00:00:00:03", addresses: [10.30.0.11/24]}
  hugepages: {size: 2MiB, per_numa: 128MiB}
  ntp: [10.30.0.2]
  password: PASSWORD
  watchdog: 10s
  sysctls: [{key: net.core.rmem_max, value: "8388608"}]
`

func machineText(t *testing.T) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("open sesame"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(machineYAML, "PASSWORD", string(hash), 1)
}

func TestAMachineSectionIsRead(t *testing.T) {
	n, err := ParseNode("node.yaml", []byte(machineText(t)))
	if err != nil {
		t.Fatal(err)
	}
	m := n.Machine
	if m == nil || len(m.North.Addresses) != 2 || m.South.Addresses[0].String() != "10.20.0.11/24" || m.Control.Device != "mac:52:54:00:00:00:03" ||
		m.Hugepages.PerNUMA != 128<<20 || m.Watchdog.Seconds() != 10 || m.Sysctls[0].Value != "8388608" {
		t.Errorf("machine %+v", m)
	}
	if !m.Password.Matches("open sesame") || m.Password.Matches("") || m.Password.Matches("open sesame!") {
		t.Error("the password's hash matches wrongly")
	}
	if s := fmt.Sprintf("%v %+v %#v", m.Password, *m, *m); strings.Contains(s, "$2a$") {
		t.Errorf("the hash is printed: %s", s)
	}
}

func TestAMachineHasUsefulDefaults(t *testing.T) {
	text := machineText(t)
	text = text[:strings.Index(text, "  control:")]
	n, err := ParseNode("node.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if m := n.Machine; m.Control.InUse() || m.Watchdog != DefaultWatchdog || m.Hugepages.Size != 2<<20 || m.Password.Matches("") {
		t.Errorf("machine %+v", m)
	}
	if n, err := ParseNode("node.yaml", []byte(text[:strings.Index(text, "machine:")])); err != nil || n.Machine != nil {
		t.Errorf("a node without a machine section: %+v, %v", n, err)
	}
}

func TestABadMachineSectionIsRefusedWithItsPlace(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{`control: {device: "mac:52:54:00:00:00:03"`, `control: {device: eth2`, "node.yaml:10: machine.control.device: \"eth2\" is not a device"},
		{`control: {device: "mac:52:54:00:00:00:03"`, `control: {device: "mac:52:54:00:00:00:01"`, "machine.control.device: is the same device as dataplane.north"},
		{`control: {device: "mac:52:54:00:00:00:03"`, `control: {device: "mac:52:54:00:00:00:0G"`, "is not a MAC address"},
		{`addresses: [10.30.0.11/24]}`, `dhcp: true, addresses: [10.30.0.11/24]}`, "needs exactly one of dhcp and addresses"},
		{`, addresses: [10.30.0.11/24]}`, `}`, "needs exactly one of dhcp and addresses"},
		{`10.20.0.11/24`, `10.20.0.11`, "node.yaml:9: machine.south.addresses[0]: \"10.20.0.11\" is not an address with a prefix length"},
		{`gateway: 10.10.0.1`, `gateway: "2001:db8::1"`, "is not an IPv4 address"},
		{`size: 2MiB`, `size: 4MiB`, "4MiB is not a size of huge pages"},
		{`per_numa: 128MiB`, `per_numa: 32MiB`, "32MiB is less than dataplane.memory, 64MiB"},
		{`per_numa: 128MiB`, `per_numa: 129MiB`, "not a whole number of pages"},
		{`watchdog: 10s`, `watchdog: 1s`, "node.yaml:14: machine.watchdog: 1s is out of range"},
		{`key: net.core.rmem_max`, `key: ../../etc/passwd`, "is not a kernel option"},
		{`password: `, `password: x`, "is not a bcrypt hash"},
	} {
		text := machineText(t)
		bad := strings.Replace(text, c.from, c.to, 1)
		if bad == text {
			t.Fatalf("%q is not in the file", c.from)
		}
		if _, err := ParseNode("node.yaml", []byte(bad)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("with %q: %v, want %q", c.to, err, c.want)
		}
	}
}
