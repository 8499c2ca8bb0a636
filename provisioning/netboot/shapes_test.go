package netboot

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// shape is a message as a program sends it: the options in its order, in
// hexadecimal, behind a BOOTP header.
type shape struct{ name, mac, options string }

func text(s string) string { return hex.EncodeToString([]byte(s)) }

func option(code byte, data string) string {
	return hex.EncodeToString([]byte{code, byte(len(data) / 2)}) + data
}

const machineID = "0078563412bc9a7856ef0123456789abcd"

var (
	ipxeBIOS = shape{"iPXE, BIOS", "525400123401", option(53, "01") + option(57, "05c0") + option(93, "0000") + option(94, "010201") +
		option(60, text("PXEClient:Arch:00000:UNDI:002001")) + option(77, text("iPXE")) +
		option(55, "0103060c0f1a2b3c4243778081828384858687afcb") +
		option(175, "b1050180868610"+"eb030"+"10000"+"1701012201011301011101012701011901011001022101011501011201011b0101") +
		option(61, "01525400123401") + option(97, machineID)}
	ipxeUEFI = shape{"iPXE, UEFI", "525400123402", option(53, "01") + option(57, "05c0") + option(93, "0007") + option(94, "010300") +
		option(60, text("PXEClient:Arch:00007:UNDI:003000")) + option(77, text("iPXE")) +
		option(55, "0103060c0f1a2b3c4243778081828384858687afcb") +
		option(175, "eb03010000"+"170101"+"220101"+"130101"+"110101"+"270101"+"190101"+"210101") +
		option(61, "01525400123402") + option(97, machineID)}
	ovmfPXE = shape{"OVMF, PXE", "525400123403", option(53, "01") + option(57, "05c0") +
		option(55, "0102030405060c0d0f111216171c28292a2b3233363a3b3c42436180818283848586"+"87") +
		option(97, machineID) + option(94, "010310") + option(93, "0007") + option(60, text("PXEClient:Arch:00007:UNDI:003016"))}
	ovmfHTTP = shape{"OVMF, HTTP boot", "525400123404", option(53, "01") + option(57, "05c0") + option(55, "0103060c0f2b3c4361") +
		option(97, machineID) + option(94, "010310") + option(93, "0010") + option(60, text("HTTPClient:Arch:00016:UNDI:003016"))}
	biosROM = shape{"a NIC's PXE ROM", "525400123405", option(53, "01") + option(55, "0102030506"+"0b0c0d0f1011122b36"+"3c4380818283848586"+"87") +
		option(57, "04ec") + option(97, machineID) + option(93, "0000") + option(94, "010201") + option(60, text("PXEClient:Arch:00000:UNDI:002001"))}
	armPXE  = shape{"UEFI on ARM", "525400123406", option(53, "01") + option(93, "000b") + option(60, text("PXEClient:Arch:00011:UNDI:003000"))}
	noArch  = shape{"PXE without an architecture", "525400123407", option(53, "01") + option(60, text("PXEClient"))}
	ia32    = shape{"UEFI of 32 bits, HTTP", "525400123408", option(53, "01") + option(93, "000f") + option(60, text("HTTPClient:Arch:00015:UNDI:003000"))}
	ipxeARM = shape{"iPXE on ARM", "525400123409", option(53, "01") + option(93, "000b") + option(77, text("iPXE")) + option(60, text("PXEClient:Arch:00011:UNDI:003000"))}
	linux   = shape{"Linux", "52540012340a", option(53, "01") + option(55, "0103060f") + option(61, "ff00112233445566") + option(50, "0a280096")}
	shapes  = []shape{ipxeBIOS, ipxeUEFI, ovmfPXE, ovmfHTTP, biosROM, armPXE, noArch, ia32, ipxeARM, linux}
)

// bytes is the datagram; change may alter its options.
func (s shape) bytes(t testing.TB, change ...string) []byte {
	t.Helper()
	b := make([]byte, 236)
	b[0], b[1], b[2] = 1, 1, 6
	binary.BigEndian.PutUint32(b[4:], 0x11223344)
	options := s.options
	for i := 0; i+1 < len(change); i += 2 {
		options = strings.Replace(options, change[i], change[i+1], 1)
	}
	for at, data := range map[int]string{28: s.mac} {
		h, err := hex.DecodeString(data)
		if err != nil {
			t.Fatal(err)
		}
		copy(b[at:], h)
	}
	o, err := hex.DecodeString("63825363" + options + "ff")
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	return append(b, o...)
}

func (s shape) message(t testing.TB, change ...string) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.FromBytes(s.bytes(t, change...))
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	return m
}

// as makes the message another one of the same sender's.
func (s shape) as(t testing.TB, is dhcpv4.MessageType, options ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	m := s.message(t)
	m.UpdateOption(dhcpv4.OptMessageType(is))
	m.Options.Del(dhcpv4.OptionRequestedIPAddress)
	for _, o := range options {
		m.UpdateOption(o)
	}
	return m
}

func ip(s string) net.IP { return net.ParseIP(s).To4() }
