package netboot

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

var start = time.Unix(1_800_000_000, 0)

func pool(reserved map[[6]byte]netip.Addr, kept ...Lease) *Pool {
	return NewPool(netip.MustParseAddr("10.40.0.100"), netip.MustParseAddr("10.40.0.103"), time.Hour, reserved, kept)
}

func server(testing.TB) *Server {
	return &Server{here, Network{netip.MustParsePrefix("10.40.0.0/24"), netip.MustParseAddr("10.40.0.1"), nil}, pool(nil)}
}

func mac(n byte) net.HardwareAddr { return net.HardwareAddr{0x52, 0x54, 0, 0, 1, n} }

func (p *Pool) offered(t *testing.T, n byte, now time.Time) string {
	t.Helper()
	a, ok := p.Offer(mac(n), netip.Addr{}, now)
	if !ok {
		return "none"
	}
	return a.String()
}

func TestAMachineIsLedFromItsOfferToItsLease(t *testing.T) {
	s := server(t)
	offer := s.Answer(ovmfPXE.message(t), ServerPort, start).Reply
	if offer == nil || !offer.YourIPAddr.Equal(ip("10.40.0.100")) || offer.BootFileName != FileUEFI || offer.IPAddressLeaseTime(0) != time.Hour || offer.SubnetMask().String() != "ffffff00" {
		t.Fatal(offer.Summary())
	}
	a := s.Answer(ovmfPXE.as(t, dhcpv4.MessageTypeRequest, dhcpv4.OptServerIdentifier(ip("10.40.0.1")), dhcpv4.OptRequestedIPAddress(offer.YourIPAddr)), ServerPort, start)
	if a.Reply.MessageType() != dhcpv4.MessageTypeAck || len(a.Changes) != 1 || !a.Changes[0].Ends.Equal(start.Add(time.Hour)) {
		t.Fatalf("%+v", a)
	}
	// iPXE and the system of the same machine have other client identifiers, and get the same address.
	again := s.Answer(shape{"", ovmfPXE.mac, ipxeUEFI.options}.message(t), ServerPort, start.Add(time.Second)).Reply
	if !again.YourIPAddr.Equal(offer.YourIPAddr) || again.BootFileName != here.HTTP+ScriptPath {
		t.Error(again.Summary())
	}
	renew := ovmfPXE.as(t, dhcpv4.MessageTypeRequest)
	renew.ClientIPAddr = offer.YourIPAddr
	if a := s.Answer(renew, ServerPort, start.Add(50*time.Minute)); a.Reply.MessageType() != dhcpv4.MessageTypeAck || !a.Changes[0].Ends.Equal(start.Add(110*time.Minute)) {
		t.Errorf("%+v", a)
	}
	if hw, ok := s.Pool.Holder(netip.MustParseAddr("10.40.0.100"), start.Add(time.Hour)); !ok || hw.String() != "52:54:00:00:00:02" {
		t.Error(hw)
	}
}

func TestAnAddressThatIsNotTheMachinesIsDenied(t *testing.T) {
	s := server(t)
	s.Answer(ovmfPXE.message(t), ServerPort, start)
	choose := func(m shape, address string) Answer {
		return s.Answer(m.as(t, dhcpv4.MessageTypeRequest, dhcpv4.OptServerIdentifier(ip("10.40.0.1")), dhcpv4.OptRequestedIPAddress(ip(address))), ServerPort, start)
	}
	boot := func(m shape, address string) Answer {
		return s.Answer(m.as(t, dhcpv4.MessageTypeRequest, dhcpv4.OptRequestedIPAddress(ip(address))), ServerPort, start)
	}
	for name, a := range map[string]Answer{
		"another's offer":   choose(biosROM, "10.40.0.100"),
		"not what it was":   choose(ovmfPXE, "10.40.0.101"),
		"our own":           choose(ovmfPXE, "10.40.0.1"),
		"of another net":    boot(biosROM, "192.168.1.5"),
		"its own is other":  boot(ovmfPXE, "10.40.0.102"),
		"nothing asked for": choose(biosROM, "0.0.0.0"),
	} {
		if a.Reply == nil || a.Reply.MessageType() != dhcpv4.MessageTypeNak || !a.Reply.IsBroadcast() || !a.Reply.YourIPAddr.IsUnspecified() {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if a := boot(biosROM, "10.40.0.103"); a.Reply != nil || a.Refused != UnknownLease {
		t.Errorf("who has no lease here: %+v", a)
	}
	other := s.Answer(ovmfPXE.as(t, dhcpv4.MessageTypeRequest, dhcpv4.OptServerIdentifier(ip("10.40.0.9")), dhcpv4.OptRequestedIPAddress(ip("10.40.0.77"))), ServerPort, start)
	if other.Reply != nil || other.Refused != NotForUs {
		t.Errorf("another server's offer: %+v", other)
	}
}

func TestAPoolIsBoundedAndGivesOutWhatWasGivenBackLongestAgo(t *testing.T) {
	p := pool(nil)
	for n, want := range []string{"10.40.0.100", "10.40.0.101", "10.40.0.102", "10.40.0.103", "none", "none"} {
		if got := p.offered(t, byte(n), start); got != want {
			t.Errorf("machine %d: %s, want %s", n, got, want)
		}
	}
	for n := range 4 {
		a := netip.AddrFrom4([4]byte{10, 40, 0, byte(100 + n)})
		if _, v := p.Request(mac(byte(n)), a, true, start.Add(time.Duration(n)*time.Second)); v != grant {
			t.Errorf("machine %d: %d", n, v)
		}
	}
	if got := p.offered(t, 9, start.Add(30*time.Minute)); got != "none" {
		t.Errorf("given away: %s", got)
	}
	p.Release(mac(2), netip.MustParseAddr("10.40.0.102"), start.Add(20*time.Minute))
	if got := p.offered(t, 9, start.Add(30*time.Minute)); got != "10.40.0.102" {
		t.Errorf("after a release: %s", got)
	}
	if got := p.offered(t, 8, start.Add(2*time.Hour)); got != "10.40.0.102" && got != "10.40.0.100" {
		t.Errorf("when all have ended: %s", got)
	}
	if len(p.byMAC) != 4 || len(p.byAddress) != 4 {
		t.Errorf("%d machines, %d addresses", len(p.byMAC), len(p.byAddress))
	}
}

func TestAnOfferThatNobodyTakesIsFreeAfterAMinute(t *testing.T) {
	p := pool(nil)
	for n := range byte(4) {
		p.offered(t, n, start)
	}
	if got := p.offered(t, 7, start.Add(30*time.Second)); got != "none" {
		t.Error(got)
	}
	if got := p.offered(t, 7, start.Add(61*time.Second)); got == "none" {
		t.Error(got)
	}
}

func TestReservedAddressesAreForTheirMachineOnly(t *testing.T) {
	mine := netip.MustParseAddr("10.40.0.100")
	p := pool(map[[6]byte]netip.Addr{[6]byte(mac(5)): mine}, Lease{[6]byte(mac(5)), netip.MustParseAddr("10.40.0.101"), start.Add(time.Hour)})
	if got := p.offered(t, 1, start); got != "10.40.0.101" {
		t.Errorf("a lease from before the reservation holds: %s", got)
	}
	if a, ok := p.Offer(mac(2), mine, start); !ok || a == mine {
		t.Errorf("a stranger's wish: %s", a)
	}
	if got := p.offered(t, 5, start); got != mine.String() {
		t.Error(got)
	}
	if _, v := p.Request(mac(2), mine, true, start); v != deny {
		t.Errorf("verdict %d", v)
	}
}

func TestADeclinedAddressRestsAndComesBack(t *testing.T) {
	p := pool(nil)
	p.offered(t, 1, start)
	if p.Decline(mac(2), netip.MustParseAddr("10.40.0.100"), start) != nil {
		t.Error("a stranger's word counts")
	}
	if l := p.Decline(mac(1), netip.MustParseAddr("10.40.0.100"), start); len(l) != 1 || !l[0].Ends.IsZero() {
		t.Errorf("%+v", l)
	}
	for n := range byte(3) {
		if got := p.offered(t, 10+n, start); got == "10.40.0.100" || got == "none" {
			t.Error(got)
		}
	}
	for n := range byte(3) {
		p.Request(mac(10+n), p.byMAC[[6]byte(mac(10+n))].Address, true, start)
	}
	if got := p.offered(t, 1, start.Add(9*time.Minute)); got != "none" {
		t.Errorf("too early: %s", got)
	}
	if got := p.offered(t, 99, start.Add(11*time.Minute)); got != "10.40.0.100" {
		t.Errorf("after its rest: %s", got)
	}
}

func TestLeasesThatWereKeptAreThereAgain(t *testing.T) {
	p := pool(nil, Lease{[6]byte(mac(1)), netip.MustParseAddr("10.40.0.103"), start.Add(time.Hour)}, Lease{[6]byte(mac(2)), netip.MustParseAddr("10.99.0.1"), start.Add(time.Hour)})
	if _, v := p.Request(mac(1), netip.MustParseAddr("10.40.0.103"), false, start); v != grant {
		t.Errorf("verdict %d", v)
	}
	if got := p.offered(t, 2, start); got != "10.40.0.100" {
		t.Errorf("a lease of another network: %s", got)
	}
}
