package config

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
	"gopkg.in/yaml.v3"
)

// Machine is the part of node.yaml that init reads: what the appliance makes of
// its hardware and kernel before the services start (S-101). A node whose
// machine somebody else sets up, such as the lab's, has none.
type Machine struct {
	North     Exception      `yaml:"north" need:"yes"` // of the exception interface of that side
	South     Exception      `yaml:"south" need:"yes"`
	Control   ControlNIC     `yaml:"control"` // empty: the node has no control network
	Hugepages Hugepages      `yaml:"hugepages"`
	NTP       []netip.Addr   `yaml:"ntp"`      // asked in this order; none: the clock is left to RTC and saved time
	Password  PasswordHash   `yaml:"password"` // of the console; empty: the console only shows
	Watchdog  time.Duration  `yaml:"watchdog"` // the hardware resets a machine whose init hangs for so long; 0: off
	Sysctls   []KernelOption `yaml:"sysctls"`  // beside those that init sets by itself
}

// Exception is the kernel's end of one side: the addresses of the node.
type Exception struct {
	Addresses []Prefix   `yaml:"addresses" need:"yes"`
	Gateway   netip.Addr `yaml:"gateway"`
	Gateway6  netip.Addr `yaml:"gateway6"`
}

// ControlNIC stays with the kernel: configuration service, operators, logs.
type ControlNIC struct {
	Device    string     `yaml:"device" need:"yes"` // "mac:52:54:00:12:34:56" or "pci:0000:00:05.0"
	DHCP      bool       `yaml:"dhcp"`
	Addresses []Prefix   `yaml:"addresses"`
	Gateway   netip.Addr `yaml:"gateway"`
}

// InUse reports whether the node has a control network.
func (c *ControlNIC) InUse() bool { return c.Device != "" }

// Hugepages are reserved per NUMA node.
type Hugepages struct {
	Size    Size `yaml:"size"`     // of one page: 2MiB or 1GiB
	PerNUMA Size `yaml:"per_numa"` // of memory on every NUMA node
}

// KernelOption is one line of sysctl.
type KernelOption struct {
	Key   string `yaml:"key" need:"yes"` // "net.core.rmem_max"
	Value string `yaml:"value" need:"yes"`
}

// Prefix is an address with its prefix length, written 10.10.0.11/24.
type Prefix struct{ netip.Prefix }

func (p *Prefix) fromYAML(n *yaml.Node) error {
	s, err := text(n, "an address with its prefix length")
	if err != nil {
		return err
	}
	v, err := netip.ParsePrefix(s)
	if err != nil || v.Addr().Is4In6() {
		return &problem{fmt.Sprintf("%q is not an address with a prefix length", s), "write it like 10.10.0.11/24 or \"2001:db8::11/64\""}
	}
	p.Prefix = v
	return nil
}

// PasswordHash is a password's bcrypt hash; it is not printed either.
type PasswordHash struct{ Secret }

func (h *PasswordHash) fromYAML(n *yaml.Node) error {
	s, err := text(n, "a bcrypt hash")
	if err != nil {
		return err
	}
	if _, err := bcrypt.Cost([]byte(s)); err != nil {
		return &problem{"is not a bcrypt hash", "make one with: weirctl password"}
	}
	h.Secret = Secret(s)
	return nil
}

// Matches reports whether the password is the one of the hash.
func (h PasswordHash) Matches(password string) bool {
	return h.Secret != "" && bcrypt.CompareHashAndPassword([]byte(string(h.Secret)), []byte(password)) == nil
}

// DefaultWatchdog is how long init may hang before the hardware resets the machine.
const DefaultWatchdog = 30 * time.Second

func (m *Machine) defaults() {
	m.Watchdog = DefaultWatchdog
	m.Hugepages.defaults()
}

func (h *Hugepages) defaults() { h.Size, h.PerNUMA = 2<<20, 256<<20 }

// DeviceMAC is a NIC named by its MAC address; init finds its PCI address.
const DeviceMAC = "mac"

// checkDevice validates the name of a NIC that init looks for.
func (d *document) checkDevice(path, device string) {
	kind, name, _ := strings.Cut(device, ":")
	switch kind {
	case DevicePCI:
		if !pciAddress().MatchString(name) {
			d.fail(path, "write it like pci:0000:00:03.0", "%q is not a PCI address", name)
		}
	case DeviceMAC:
		if mac, err := net.ParseMAC(name); err != nil || len(mac) != 6 || mac.String() != name {
			d.fail(path, "write it like mac:52:54:00:12:34:56, in lower case", "%q is not a MAC address", name)
		}
	default:
		d.fail(path, "write pci:ADDRESS or mac:ADDRESS, or af_packet:INTERFACE for north and south", "%q is not a device", device)
	}
}

var sysctlKey = form(`^[a-z0-9_]+([./][A-Za-z0-9_-]+)+$`)

func (n *Node) validateMachine(d *document) {
	m := n.Machine
	if m == nil {
		return
	}
	m.North.validate(d, "machine.north")
	m.South.validate(d, "machine.south")
	devices := map[string]string{n.Dataplane.North.Device: "dataplane.north", n.Dataplane.South.Device: "dataplane.south"}
	if c := &m.Control; c.InUse() {
		d.checkDevice("machine.control.device", c.Device)
		if other, taken := devices[c.Device]; taken {
			d.fail("machine.control.device", "give the control network a NIC of its own", "is the same device as %s", other)
		}
		if c.DHCP == (len(c.Addresses) > 0) {
			d.fail("machine.control", "set dhcp: true, or addresses", "needs exactly one of dhcp and addresses")
		}
	}
	h := &m.Hugepages
	if h.Size != 2<<20 && h.Size != 1<<30 {
		d.fail("machine.hugepages.size", "write 2MiB or 1GiB", "%s is not a size of huge pages", h.Size)
	} else if h.PerNUMA <= 0 || h.PerNUMA%h.Size != 0 {
		d.fail("machine.hugepages.per_numa", "write a multiple of "+h.Size.String(), "%s is not a whole number of pages of %s", h.PerNUMA, h.Size)
	} else if n.Dataplane.Hugepages && h.PerNUMA < n.Dataplane.Memory {
		d.fail("machine.hugepages.per_numa", "write at least dataplane.memory", "%s is less than dataplane.memory, %s", h.PerNUMA, n.Dataplane.Memory)
	}
	if m.Watchdog != 0 && (m.Watchdog < 5*time.Second || m.Watchdog > 5*time.Minute) {
		d.fail("machine.watchdog", "write 5s to 5m, or 0s to switch it off", "%v is out of range", m.Watchdog)
	}
	for i, o := range m.Sysctls {
		if !sysctlKey().MatchString(o.Key) || strings.Contains(o.Key, "..") {
			d.fail(fmt.Sprintf("machine.sysctls[%d].key", i), "write it like net.core.rmem_max", "%q is not a kernel option", o.Key)
		}
	}
}

func (e *Exception) validate(d *document, path string) {
	if len(e.Addresses) == 0 {
		d.fail(path+".addresses", "add the node's addresses of this side", "no addresses")
	}
	if e.Gateway.IsValid() && !e.Gateway.Is4() {
		d.fail(path+".gateway", "write an IPv6 gateway in gateway6", "%s is not an IPv4 address", e.Gateway)
	}
	if e.Gateway6.IsValid() && !e.Gateway6.Is6() {
		d.fail(path+".gateway6", "write an IPv4 gateway in gateway", "%s is not an IPv6 address", e.Gateway6)
	}
}
