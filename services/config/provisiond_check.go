package config

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

var (
	versionForm = form(`^[0-9A-Za-z][0-9A-Za-z.+-]{0,62}$`)
	valueForm   = form(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)
	wordsForm   = form(`^[ -~]{0,512}$`) // the kernel takes 2047 bytes in all
)

func (p *Provisiond) validate(d *document) {
	d.interfaceName("interface", p.Interface)
	d.ipv4("address", p.Address)
	for _, port := range []struct {
		path string
		port uint16
	}{{"http_port", p.HTTPPort}, {"enrol_port", p.EnrolPort}} {
		d.within(port.path, int(port.port), 1, 65535)
	}
	if p.HTTPPort == p.EnrolPort {
		d.fail("enrol_port", "give each its own", "is the port of http too")
	}
	for path, s := range map[string]string{"state_dir": p.StateDir, "authority": p.CA, "cert": p.Cert, "key": p.Key, "images": p.Images, "ipxe": p.IPXE} {
		d.notEmpty(path, s)
	}
	if p.Validity < 7*24*time.Hour || p.Validity > 10*365*24*time.Hour {
		d.fail("certificate_validity", "write 8760h for a year", "%s is out of range, a week to ten years", p.Validity)
	}
	d.version("version", p.Version)
	if !wordsForm().MatchString(p.CommandLine) {
		d.fail("command_line", "use letters, digits and , . : = _ / + @ % -, 512 characters at most", "is not a part of a command line")
	}
	p.DHCP.validate(d, p.Address)
	if len(p.Machines) > MaxMachines {
		d.fail("machines", "", "%d machines are too many, at most %d", len(p.Machines), MaxMachines)
		return
	}
	seen := map[string]string{}
	for i := range p.Machines {
		p.Machines[i].validate(d, fmt.Sprintf("machines[%d]", i), seen, p.Template != "")
	}
}

func (m *ProvisionMachine) validate(d *document, path string, seen map[string]string, template bool) {
	once := func(at, kind, s string) {
		if first, ok := seen[kind+s]; ok {
			d.fail(at, "remove one of them", "%s is %s's too", s, first)
		}
		seen[kind+s] = path
	}
	d.id(path+".id", m.ID)
	d.oneOf(path+".role", m.Role, RoleNode, RoleServer)
	once(path+".id", m.Role+" ", m.ID)
	for i, mac := range m.MACs {
		at := fmt.Sprintf("%s.macs[%d]", path, i)
		d.mac(at, mac)
		once(at, "mac ", mac)
	}
	if _, ok := d.lines[path+".serial"]; ok {
		d.notEmpty(path+".serial", m.Serial)
		once(path+".serial", "serial ", m.Serial)
	}
	if m.UUID != "" {
		if !uuidForm().MatchString(m.UUID) {
			d.fail(path+".uuid", "write it like 4c4c4544-0033-3310-8051-b4c04f4b3132, in lower case", "%q is not a UUID", m.UUID)
		}
		once(path+".uuid", "uuid ", m.UUID)
	}
	if m.Version != "" {
		d.version(path+".version", m.Version)
	}
	if m.Role == RoleNode && m.Template == "" && !template {
		d.fail(path, "add template here, or at the top for all machines", "there is no template of its node.yaml")
	}
	if m.Role == RoleServer && (m.Template != "" || m.Version != "" || m.Install) {
		d.fail(path, "remove template, version and install", "a server brings its own system")
	}
	names := map[string]bool{}
	for i, v := range m.Values {
		at := fmt.Sprintf("%s.values[%d].name", path, i)
		if !valueForm().MatchString(v.Name) || v.Name == "id" {
			d.fail(at, "use letters, digits and underscores; id is there already", "%q is not a name for a template", v.Name)
		}
		if names[v.Name] {
			d.fail(at, "remove one of them", "%s is given twice", v.Name)
		}
		names[v.Name] = true
	}
	for i, a := range m.Addresses {
		if _, err := netip.ParseAddr(a); err != nil && !hostForm().MatchString(a) {
			d.fail(fmt.Sprintf("%s.addresses[%d]", path, i), "", "%q is neither an address nor a host name", a)
		}
	}
}

var (
	uuidForm = form(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	hostForm = form(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
)

func (h *ProvisionDHCP) validate(d *document, self netip.Addr) {
	d.oneOf("dhcp.mode", h.Mode, DHCPProxy, DHCPServer, DHCPOff)
	if h.Mode != DHCPServer {
		for _, key := range []string{"prefix", "first", "last", "router", "dns", "reservations"} {
			if _, ok := d.lines["dhcp."+key]; ok {
				d.fail("dhcp."+key, "remove it, or use mode server", "mode %s gives nobody an address", h.Mode)
			}
		}
		return
	}
	if !h.Prefix.IsValid() || !h.Prefix.Addr().Is4() || h.Prefix.Bits() > 30 {
		d.fail("dhcp.prefix", "write the provisioning network like 10.40.0.0/24", "is no IPv4 network")
		return
	}
	inside := func(path string, a netip.Addr) bool {
		if !a.Is4() || !h.Prefix.Contains(a) {
			d.fail(path, "", "%s is not in %s", a, h.Prefix.Masked())
			return false
		}
		if a == self {
			d.fail(path, "", "%s is this machine's own", a)
			return false
		}
		return true
	}
	if !self.Is4() {
		return // said already
	}
	if !h.Prefix.Contains(self) {
		d.fail("dhcp.prefix", "", "%s does not contain address, %s", h.Prefix.Masked(), self)
	}
	if f, l := h.First, h.Last; inside("dhcp.first", f) && inside("dhcp.last", l) {
		n := int64(number4(l)) - int64(number4(f)) + 1
		if n < 1 || n > MaxPool {
			d.fail("dhcp.last", "", "the pool has %d addresses; 1 to %d is possible", n, MaxPool)
		} else if number4(self) >= number4(f) && number4(self) <= number4(l) {
			d.fail("dhcp.first", "begin the pool behind it", "the pool holds this machine's own address")
		}
	}
	if h.Router.IsValid() {
		d.ipv4("dhcp.router", h.Router)
	}
	for i, a := range h.DNS {
		d.ipv4(fmt.Sprintf("dhcp.dns[%d]", i), a)
	}
	if h.Lease < time.Minute || h.Lease > 30*24*time.Hour {
		d.fail("dhcp.lease", "", "%s is out of range, a minute to 30 days", h.Lease)
	}
	seen := map[string]bool{}
	for i, r := range h.Reservations {
		at := fmt.Sprintf("dhcp.reservations[%d]", i)
		d.mac(at+".mac", r.MAC)
		inside(at+".address", r.Address)
		if seen[r.MAC] || seen[r.Address.String()] {
			d.fail(at, "remove one of them", "reserves again")
		}
		seen[r.MAC], seen[r.Address.String()] = true, true
	}
}

func number4(a netip.Addr) uint32 { b := a.As4(); return binary.BigEndian.Uint32(b[:]) }

func (d *document) ipv4(path string, a netip.Addr) {
	if !a.Is4() {
		d.fail(path, "network boot is over IPv4", "%s is not an IPv4 address", a)
	}
}

func (d *document) version(path, s string) {
	if !versionForm().MatchString(s) || strings.Contains(s, "..") {
		d.fail(path, "write it like 0.5.0", "%q is not a version", s)
	}
}

// mac checks an Ethernet address in the form in which it is compared.
func (d *document) mac(path, s string) {
	m, err := net.ParseMAC(s)
	if err != nil || len(m) != 6 || m.String() != s || hex.EncodeToString(m) == "000000000000" || m[0]&1 != 0 {
		d.fail(path, "write it like 52:54:00:12:34:56, in lower case", "%q is not the MAC address of a machine", s)
	}
}
