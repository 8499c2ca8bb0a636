package cmdline

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Network is how to reach the network before there is a configuration. The zero
// value asks for DHCP on every NIC.
type Network struct {
	Address netip.Prefix // invalid: DHCP
	Gateway netip.Addr
	DNS     []netip.Addr
	Device  string // kernel's name of the only NIC to use; empty: see MAC
	MAC     string // of the only NIC to use; empty: any
}

// Network reads ip= and BOOTIF=.
//
//	ip=dhcp
//	ip=CLIENT:[SERVER]:[GATEWAY]:NETMASK:[HOST]:[DEVICE]:[AUTOCONF]:[DNS]:[DNS]
//	BOOTIF=01-52-54-00-12-34-56
//
// The long form is the kernel's own (Documentation/admin-guide/nfs/nfsroot.rst),
// for IPv4; BOOTIF is PXELINUX's, and iPXE's by habit.
func (l Line) Network() (Network, error) {
	var n Network
	if bootif, ok := l.Get("BOOTIF"); ok {
		if n.MAC = macOf(bootif); n.MAC == "" {
			return n, fmt.Errorf("BOOTIF=%s is not a hardware type and MAC address, such as 01-52-54-00-12-34-56", bootif)
		}
	}
	ip, ok := l.Get("ip")
	if !ok || ip == "" {
		return n, nil
	}
	f := append(strings.Split(ip, ":"), make([]string, 9)...)
	n.Device = f[5]
	auto := f[6]
	if f[0] == "dhcp" || f[0] == "on" || f[0] == "any" {
		f[0], auto = "", f[0]
	}
	if f[0] == "" {
		if auto != "dhcp" && auto != "on" && auto != "any" {
			return n, fmt.Errorf("ip=%s has no address and does not ask for dhcp", ip)
		}
		return n, nil
	}
	address, err := netip.ParseAddr(f[0])
	if err != nil || !address.Is4() {
		return n, fmt.Errorf("ip=%s: %q is not an IPv4 address", ip, f[0])
	}
	bits, err := maskLength(f[3])
	if err != nil {
		return n, fmt.Errorf("ip=%s: %w", ip, err)
	}
	n.Address = netip.PrefixFrom(address, bits)
	for _, s := range []struct {
		text string
		set  func(netip.Addr)
	}{
		{f[2], func(a netip.Addr) { n.Gateway = a }},
		{f[7], func(a netip.Addr) { n.DNS = append(n.DNS, a) }},
		{f[8], func(a netip.Addr) { n.DNS = append(n.DNS, a) }},
	} {
		if s.text == "" {
			continue
		}
		a, err := netip.ParseAddr(s.text)
		if err != nil || !a.Is4() {
			return n, fmt.Errorf("ip=%s: %q is not an IPv4 address", ip, s.text)
		}
		s.set(a)
	}
	return n, nil
}

// macOf reads "01-52-54-00-12-34-56": Ethernet, and the address.
func macOf(bootif string) string {
	rest, ok := strings.CutPrefix(strings.ToLower(bootif), "01-")
	if !ok {
		return ""
	}
	b, err := hex.DecodeString(strings.ReplaceAll(rest, "-", ""))
	if err != nil || len(b) != 6 || len(rest) != 17 {
		return ""
	}
	return net.HardwareAddr(b).String()
}

func maskLength(mask string) (int, error) {
	a, err := netip.ParseAddr(mask)
	if err != nil || !a.Is4() {
		return 0, fmt.Errorf("%q is not a network mask, such as 255.255.255.0", mask)
	}
	m := a.As4()
	ones, bits := net.IPMask(m[:]).Size()
	if bits == 0 || ones == 0 {
		return 0, fmt.Errorf("%q is not a network mask, such as 255.255.255.0", mask)
	}
	return ones, nil
}
