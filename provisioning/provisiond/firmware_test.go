package main

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"weir/provisioning/dhcpd"
	"weir/qemu/netns"
)

// firmware is a machine's DHCP client before there is an operating system: it
// hears all offers and takes none at once.
type firmware struct {
	l    *lab
	conn *net.UDPConn
	hw   net.HardwareAddr
}

func (l *lab) firmware(where string) *firmware {
	l.t.Helper()
	f := &firmware{l: l}
	var err error
	f.hw, err = net.ParseMAC(l.clients[where])
	l.must(err)
	l.must(netns.Do(l.ns(where), func() error { f.conn, err = dhcpd.Listen("eth0", 68); return err }))
	l.t.Cleanup(func() { f.conn.Close() })
	return f
}

// discover broadcasts a DISCOVER of a kind of firmware, and gives all offers of a
// second and a half.
func (f *firmware) discover(class string, arch iana.Arch, user string) []*dhcpv4.DHCPv4 {
	f.l.t.Helper()
	m, err := dhcpv4.NewDiscovery(f.hw, dhcpv4.WithBroadcast(true), dhcpv4.WithOption(dhcpv4.OptClassIdentifier(class)), dhcpv4.WithOption(dhcpv4.OptClientArch(arch)))
	f.l.must(err)
	if user != "" {
		m.UpdateOption(dhcpv4.OptUserClass(user))
	}
	return f.ask(m, &net.UDPAddr{IP: net.IPv4bcast, Port: 67}, 1500*time.Millisecond)
}

// ask sends a message and gives every answer to it until the time is over.
func (f *firmware) ask(m *dhcpv4.DHCPv4, to *net.UDPAddr, wait time.Duration) (all []*dhcpv4.DHCPv4) {
	f.l.t.Helper()
	f.send(m.ToBytes(), to)
	f.l.must(f.conn.SetReadDeadline(time.Now().Add(wait)))
	b := make([]byte, 2048)
	for {
		n, _, err := f.conn.ReadFrom(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return all
		}
		f.l.must(err)
		if r, err := dhcpv4.FromBytes(b[:n]); err == nil && r.TransactionID == m.TransactionID {
			all = append(all, r)
		}
	}
}

func (f *firmware) send(b []byte, to *net.UDPAddr) {
	f.l.t.Helper()
	_, err := f.conn.WriteTo(b, to)
	f.l.must(err)
}

// bootOffer is the only offer that names a boot file, addressOffer the only one
// with an address.
func split(offers []*dhcpv4.DHCPv4) (boot, address *dhcpv4.DHCPv4) {
	for _, o := range offers {
		if o.BootFileName != "" {
			boot = o
		}
		if y := o.YourIPAddr.To4(); binary.BigEndian.Uint32(y) != 0 {
			address = o
		}
	}
	return boot, address
}
