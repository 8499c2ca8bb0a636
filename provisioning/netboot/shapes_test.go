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

// Recorded from Debian's QEMU 7.2 with the packages ipxe-qemu, ovmf (2022.11) and
// ipxe; the rest is as specifications have it.
var (
	ipxeBIOS = shape{"iPXE, BIOS", "525400000001", "350101" + "390205c0" + "5d020000" + "5e03010201" +
		"3c20505845436c69656e743a417263683a30303030303a554e44493a303032303031" + "4d0469505845" +
		"3717010306070c0f111a2b3c4243778081828384858687afcb" +
		"af30b105011af41000eb03010000170101220101130101110101270101190101290101100102210101150101180101120101" +
		"3d0701525400000001" + "61110000000000000000000000000000000000"}
	ipxeUEFI = shape{"iPXE, UEFI", "525400000002", "350101" + "390205c0" + "5d020007" + "5e0301030a" +
		"3c20505845436c69656e743a417263683a30303030373a554e44493a303033303130" + "4d0469505845" +
		"3717010306070c0f111a2b3c4243778081828384858687afcb" +
		"af24b105011af41000eb03010000170101240101130101110101270101290101150101120101" +
		"3d0701525400000002" + "61110000000000000000000000000000000000"}
	ovmfPXE = shape{"OVMF, PXE", "525400000002", "350101" + "390205c0" +
		"37230102030405060c0d0f111216171c28292a2b3233363a3b3c4243618081828384858687" +
		"61110000000000000000000000000000000000" + "5e03010300" + "5d020007" +
		"3c20505845436c69656e743a417263683a30303030373a554e44493a303033303030"}
	ovmfHTTP = shape{"OVMF, HTTP boot", "525400000003", "350101" + "390205c0" +
		"371b0102030405060c0d0f111216171c28292a2b3233363a3b3ceb4361" +
		"61110000000000000000000000000000000000" + "5e03010300" + "5d020010" +
		"3c2148545450436c69656e743a417263683a30303031363a554e44493a303033303030"}
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
