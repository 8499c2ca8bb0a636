package netboot

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

var here = Service{Address: netip.MustParseAddr("10.40.0.1"), HTTP: "http://10.40.0.1:6094"}

func TestEveryKindOfFirmwareIsRecognised(t *testing.T) {
	for want, list := range map[Kind][]shape{
		IPXE: {ipxeBIOS, ipxeUEFI}, UEFI: {ovmfPXE}, UEFIHTTP: {ovmfHTTP}, BIOS: {biosROM},
		Unsupported: {armPXE, noArch, ia32, ipxeARM}, Plain: {linux},
	} {
		for _, s := range list {
			if c := Classify(s.message(t)); c.Kind != want || c.MAC.String() == "" || (want == Unsupported) != (c.Why != "") {
				t.Errorf("%s: %+v, want %s", s.name, c, want)
			}
		}
	}
	// The architecture is in the vendor class of firmware that has no option 93.
	if c := Classify(ovmfPXE.message(t, option(93, "0007"), "")); c.Kind != UEFI {
		t.Errorf("without option 93: %+v", c)
	}
	// iPXE as RFC 3004 wants it, and with nothing but its own options.
	user := option(77, text("iPXE"))
	for _, other := range []string{option(77, "04"+text("iPXE")), ""} {
		if c := Classify(ipxeBIOS.message(t, user, other)); c.Kind != IPXE {
			t.Errorf("user class %q: %+v", other, c)
		}
	}
}

func TestTheProxyTellsEveryFirmwareItsFile(t *testing.T) {
	p := Proxy{here}
	for _, c := range []struct {
		shape
		file, class string
	}{
		{ipxeBIOS, "http://10.40.0.1:6094/boot.ipxe", "PXEClient"},
		{ipxeUEFI, "http://10.40.0.1:6094/boot.ipxe", "PXEClient"},
		{ovmfPXE, "snponly.efi", "PXEClient"},
		{ovmfHTTP, "http://10.40.0.1:6094/ipxe/snponly.efi", "HTTPClient"},
		{biosROM, "undionly.kpxe", "PXEClient"},
	} {
		offer := p.Answer(c.message(t), ServerPort).Reply
		ack := p.Answer(c.as(t, dhcpv4.MessageTypeRequest), BootPort).Reply
		for name, r := range map[dhcpv4.MessageType]*dhcpv4.DHCPv4{dhcpv4.MessageTypeOffer: offer, dhcpv4.MessageTypeAck: ack} {
			switch {
			case r == nil:
				t.Errorf("%s: no %s", c.name, name)
			case r.MessageType() != name || r.BootFileName != c.file || r.BootFileNameOption() != c.file || !r.ServerIPAddr.Equal(ip("10.40.0.1")) || r.ClassIdentifier() != c.class:
				t.Errorf("%s: %s", c.name, r.Summary())
			case !r.YourIPAddr.IsUnspecified() || r.Options.Has(dhcpv4.OptionIPAddressLeaseTime) || r.Options.Has(dhcpv4.OptionRouter):
				t.Errorf("%s: the proxy gives an address: %s", c.name, r.Summary())
			case !r.ServerIdentifier().Equal(ip("10.40.0.1")) || len(r.Options.Get(dhcpv4.OptionClientMachineIdentifier)) != 17:
				t.Errorf("%s: %s", c.name, r.Summary())
			case c.class == "PXEClient" && !bytes.Equal(r.Options.Get(dhcpv4.OptionVendorSpecificInformation), []byte{6, 1, 8, 255}):
				t.Errorf("%s: option 43 is % x", c.name, r.Options.Get(dhcpv4.OptionVendorSpecificInformation))
			}
		}
	}
}

func TestIPXEIsNeverGivenIPXE(t *testing.T) {
	s := server(t)
	for _, c := range []shape{ipxeBIOS, ipxeUEFI} {
		for _, a := range []Answer{Proxy{here}.Answer(c.message(t), ServerPort), Proxy{here}.Answer(c.as(t, dhcpv4.MessageTypeRequest), BootPort), s.Answer(c.message(t), ServerPort, start)} {
			if a.Reply == nil || !strings.HasSuffix(a.Reply.BootFileName, ScriptPath) {
				t.Errorf("%s: %+v", c.name, a)
			}
		}
	}
}

func TestWhatWeHaveNothingForIsLoggedAndNotAnswered(t *testing.T) {
	s := server(t)
	for _, c := range []shape{armPXE, noArch, ia32, ipxeARM} {
		for _, a := range []Answer{Proxy{here}.Answer(c.message(t), ServerPort), s.Answer(c.message(t), ServerPort, start)} {
			if a.Reply != nil || a.Refused != Unsupporting || !strings.Contains(a.Log, "gets no boot file: ") {
				t.Errorf("%s: %+v", c.name, a)
			}
		}
	}
}

func TestTheProxyLeavesTheOtherServersBusinessAlone(t *testing.T) {
	p := Proxy{here}
	for name, c := range map[string]struct {
		m    *dhcpv4.DHCPv4
		port int
		want string
	}{
		"an operating system":       {linux.message(t), ServerPort, Ignored},
		"the choice of an offer":    {ovmfPXE.as(t, dhcpv4.MessageTypeRequest), ServerPort, Ignored},
		"a release":                 {ovmfPXE.as(t, dhcpv4.MessageTypeRelease), ServerPort, Ignored},
		"a DISCOVER on 4011":        {ovmfPXE.message(t), BootPort, Ignored},
		"another boot server":       {ovmfPXE.as(t, dhcpv4.MessageTypeRequest, dhcpv4.OptServerIdentifier(ip("10.40.0.9"))), BootPort, NotForUs},
		"a reply":                   {with(ovmfPXE.message(t), func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootReply }), ServerPort, NotARequest},
		"a relayed one":             {with(ovmfPXE.message(t), func(m *dhcpv4.DHCPv4) { m.GatewayIPAddr = ip("10.50.0.1") }), ServerPort, Relayed},
		"a group's MAC address":     {with(ovmfPXE.message(t), func(m *dhcpv4.DHCPv4) { m.ClientHWAddr[0] |= 1 }), ServerPort, NotEthernet},
		"no MAC address":            {with(ovmfPXE.message(t), func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = nil }), ServerPort, NotEthernet},
		"a BOOTP request, no type":  {with(ovmfPXE.message(t), func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionDHCPMessageType) }), ServerPort, NoType},
		"a strange hardware length": {with(ovmfPXE.message(t), func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = make([]byte, 16) }), ServerPort, NotEthernet},
	} {
		if a := p.Answer(c.m, c.port); a.Reply != nil || a.Refused != c.want {
			t.Errorf("%s: %+v", name, a)
		}
		if c.port == ServerPort && (c.want == NotARequest || c.want == Relayed || c.want == NotEthernet || c.want == NoType) {
			if a := server(t).Answer(c.m, c.port, start); a.Reply != nil || a.Refused != c.want {
				t.Errorf("the server, %s: %+v", name, a)
			}
		}
	}
}

func with(m *dhcpv4.DHCPv4, change func(*dhcpv4.DHCPv4)) *dhcpv4.DHCPv4 { change(m); return m }

// Whatever comes from the network: no panic, no reply that is larger than the
// smallest message that everybody takes (RFC 2131, 2: 576 bytes, with IP and UDP),
// and never an address outside of the pool.
func FuzzAnswers(f *testing.F) {
	for _, s := range shapes {
		f.Add(s.bytes(f), false)
		f.Add(s.bytes(f, option(53, "01"), option(53, "03")), true)
	}
	f.Add([]byte{}, false)
	f.Add(append(linux.bytes(f), bytes.Repeat([]byte{77, 255, 1}, 400)...), false)
	f.Fuzz(func(t *testing.T, b []byte, boot bool) {
		m, err := dhcpv4.FromBytes(b)
		if err != nil {
			return
		}
		port := ServerPort
		if boot {
			port = BootPort
		}
		s := server(t)
		for _, a := range []Answer{Proxy{here}.Answer(m, port), s.Answer(m, port, start), s.Answer(m, port, start.Add(time.Hour))} {
			if (a.Reply == nil) == (a.Refused == "") && len(a.Changes) == 0 && a.Refused == "" && m.MessageType() != dhcpv4.MessageTypeRelease && m.MessageType() != dhcpv4.MessageTypeDecline {
				t.Fatalf("neither answered nor refused: %+v", a)
			}
			if a.Reply == nil {
				continue
			}
			own := len(m.Options.Get(dhcpv4.OptionClientIdentifier)) + len(m.Options.Get(dhcpv4.OptionClientMachineIdentifier))
			if n := len(a.Reply.ToBytes()); n > 548+own {
				t.Fatalf("a reply of %d bytes", n)
			}
			if y := addressOf(a.Reply.YourIPAddr); y.IsValid() && (y.Less(s.Pool.First) || s.Pool.Last.Less(y)) {
				t.Fatalf("gave out %s", y)
			}
		}
	})
}
