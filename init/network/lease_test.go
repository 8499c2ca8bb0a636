package network

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// ack is a server's answer with an address, a mask, and more.
func ack(t *testing.T, address string, ones int, more ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.New(dhcpv4.WithYourIP(net.ParseIP(address)), dhcpv4.WithNetmask(net.CIDRMask(ones, 32)))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range more {
		m.UpdateOption(o)
	}
	return m
}

func TestALeaseHasOnlyWhatMakesSense(t *testing.T) {
	ip := net.ParseIP
	l, err := checkLease(ack(t, "10.30.0.11", 24,
		dhcpv4.OptRouter(ip("192.0.2.1"), ip("10.30.0.11"), ip("10.30.0.1")), // of another network, ourselves, right
		dhcpv4.OptDNS(ip("224.0.0.1"), ip("10.0.0.1"), ip("10.0.0.2"), ip("10.0.0.3"), ip("10.0.0.4")),
		dhcpv4.OptServerIdentifier(ip("10.30.0.2")),
		dhcpv4.OptIPAddressLeaseTime(time.Second)))
	if err != nil || l.Address != netip.MustParsePrefix("10.30.0.11/24") || l.Gateway.String() != "10.30.0.1" || l.Server.String() != "10.30.0.2" {
		t.Errorf("%+v, %v", l, err)
	}
	if len(l.DNS) != maxDNS || l.DNS[0].String() != "10.0.0.1" || l.Time != minimumTime {
		t.Errorf("%+v", l)
	}
}

func TestALeaseOfNoAddressForAMachineIsRefused(t *testing.T) {
	for address, ones := range map[string]int{"0.0.0.0": 24, "127.0.0.1": 8, "224.0.0.5": 24, "255.255.255.255": 24, "10.30.0.0": 24, "10.30.0.9": 0, "10.30.0.10": 32} {
		if l, err := checkLease(ack(t, address, ones)); err == nil {
			t.Errorf("%s/%d is taken: %+v", address, ones, l)
		}
	}
}

func FuzzAnyAnswerIsCheckedOrRefused(f *testing.F) {
	m, _ := dhcpv4.New(dhcpv4.WithYourIP(net.ParseIP("10.30.0.11")), dhcpv4.WithNetmask(net.CIDRMask(24, 32)))
	f.Add(m.ToBytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := dhcpv4.FromBytes(b)
		if err != nil {
			return
		}
		l, err := checkLease(m)
		if err != nil {
			return
		}
		if !l.Address.IsValid() || l.Gateway.IsValid() && !l.Address.Contains(l.Gateway) || len(l.DNS) > maxDNS || l.Time < minimumTime || l.Time > maximumTime {
			t.Errorf("%+v", l)
		}
	})
}
