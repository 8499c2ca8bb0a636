package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Lease is what a DHCP server gave, checked: anybody on the segment can answer.
type Lease struct {
	Address netip.Prefix
	Gateway netip.Addr   // invalid: none
	DNS     []netip.Addr // at most maxDNS
	Server  netip.Addr
	Time    time.Duration
}

const (
	maxDNS      = 3
	minimumTime = time.Minute // a shorter lease would be asked for all the time
	maximumTime = 7 * 24 * time.Hour
)

// checkLease takes from an acknowledgement what makes sense.
func checkLease(ack *dhcpv4.DHCPv4) (Lease, error) {
	var l Lease
	address, ok := unicast(ack.YourIPAddr)
	if !ok {
		return l, fmt.Errorf("the DHCP server offers %v, which is no address for a machine", ack.YourIPAddr)
	}
	mask := ack.SubnetMask()
	ones, bits := mask.Size()
	if bits != 32 || ones < 8 || ones > 30 {
		return l, fmt.Errorf("the DHCP server offers the network mask %v", mask)
	}
	l.Address = netip.PrefixFrom(address, ones)
	if l.Address.Masked().Addr() == address {
		return l, fmt.Errorf("the DHCP server offers %v, which is a network's own address", l.Address)
	}
	if server, ok := unicast(ack.ServerIdentifier()); ok {
		l.Server = server
	}
	for _, r := range ack.Router() {
		if gateway, ok := unicast(r); ok && l.Address.Contains(gateway) && gateway != address {
			l.Gateway = gateway
			break
		}
	}
	for _, d := range ack.DNS() {
		if dns, ok := unicast(d); ok && len(l.DNS) < maxDNS {
			l.DNS = append(l.DNS, dns)
		}
	}
	l.Time = min(max(ack.IPAddressLeaseTime(time.Hour), minimumTime), maximumTime)
	return l, nil
}

// unicast is an IPv4 address that a machine can have.
func unicast(ip net.IP) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(ip)
	a = a.Unmap()
	return a, ok && a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a.As4()[0] != 0 && a.As4()[0] < 240
}

var errNoAnswer = errors.New("no DHCP server answers")
