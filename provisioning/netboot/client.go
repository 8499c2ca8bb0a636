// Package netboot decides what a machine that boots over the network is
// answered by DHCP (S-105). It is pure: messages and the time go in, answers come
// out.
package netboot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// Options that say what a client is.
const (
	optVendor  = 43  // vendor-specific (RFC 2132, 8.4); PXE's own options are in it
	optClass   = 60  // vendor class (RFC 2132, 9.13)
	optFile    = 67  // boot file name (RFC 2132, 9.5)
	optUser    = 77  // user class (RFC 3004)
	optArch    = 93  // client architecture (RFC 4578, 2.1)
	optMachine = 97  // client machine identifier (RFC 4578, 2.3)
	optIPXE    = 175 // iPXE's own options (Etherboot's assignment)
)

// Vendor classes.
const (
	classPXE  = "PXEClient"  // PXE 2.1, and UEFI's PXE client
	classHTTP = "HTTPClient" // UEFI 2.5, HTTP boot
)

// Architectures (RFC 4578, 2.1, with its erratum 1739, and the registry
// "Processor Architecture Types"). Firmware for x86-64 says 7, as the erratum has
// it, or 9, as the text has it.
const (
	archBIOS      iana.Arch = 0
	archIA32      iana.Arch = 6
	archX64       iana.Arch = 7
	archX64Other  iana.Arch = 9
	archARM64     iana.Arch = 11
	archIA32HTTP  iana.Arch = 15
	archX64HTTP   iana.Arch = 16
	archARM64HTTP iana.Arch = 19
)

// Kind is what a client can boot.
type Kind string

// Kinds.
const (
	Plain       Kind = "plain"       // no network boot: an operating system's DHCP client
	BIOS        Kind = "bios"        // a PXE ROM
	UEFI        Kind = "uefi"        // UEFI's PXE client
	UEFIHTTP    Kind = "uefi-http"   // UEFI's HTTP boot
	IPXE        Kind = "ipxe"        // iPXE, from wherever it was started
	Unsupported Kind = "unsupported" // it boots, but nothing that we have
)

// Client is what a message says of its sender.
type Client struct {
	MAC  net.HardwareAddr // 6 bytes
	Kind Kind
	Arch string // for people
	Why  string // it is not supported; for people
}

// Classify tells what a valid message's sender is.
func Classify(m *dhcpv4.DHCPv4) Client {
	c := Client{MAC: m.ClientHWAddr, Kind: Plain}
	class := string(m.Options.Get(dhcpv4.GenericOptionCode(optClass)))
	pxe, http, ipxe := strings.HasPrefix(class, classPXE), strings.HasPrefix(class, classHTTP), isIPXE(m)
	if !pxe && !http && !ipxe {
		return c
	}
	c.Kind = Unsupported
	arch, ok := archOf(m, class)
	if !ok {
		c.Why = "it does not say its architecture (option 93)"
		return c
	}
	c.Arch = fmt.Sprintf("%s (%d)", arch, uint16(arch))
	bios, x64 := arch == archBIOS, arch == archX64 || arch == archX64Other || arch == archX64HTTP
	switch {
	case ipxe && (bios || x64):
		// iPXE says so from its first DISCOVER on: giving it a script and never
		// iPXE again is what keeps it from loading itself for ever.
		c.Kind = IPXE
	case http && x64:
		c.Kind = UEFIHTTP
	case pxe && bios:
		c.Kind = BIOS
	case pxe && x64 && arch != archX64HTTP:
		c.Kind = UEFI
	case arch == archARM64 || arch == archARM64HTTP:
		c.Why = "there is no image for 64-bit ARM"
	case arch == archIA32 || arch == archIA32HTTP:
		c.Why = "its firmware is 32-bit UEFI, and the image is for x86-64"
	default:
		c.Why = "there is no image for this architecture"
	}
	return c
}

// isIPXE looks for iPXE's user class, written as iPXE does (bare) or as RFC 3004
// wants (behind its length), and for the options that only iPXE sends.
func isIPXE(m *dhcpv4.DHCPv4) bool {
	user := m.Options.Get(dhcpv4.GenericOptionCode(optUser))
	return bytes.Equal(user, []byte("iPXE")) || bytes.Equal(user, []byte("\x04iPXE")) || m.Options.Has(dhcpv4.GenericOptionCode(optIPXE))
}

// archOf is the first architecture of option 93; without one, that of the vendor
// class, "PXEClient:Arch:00007:UNDI:003016".
func archOf(m *dhcpv4.DHCPv4, class string) (iana.Arch, bool) {
	if b := m.Options.Get(dhcpv4.GenericOptionCode(optArch)); len(b) >= 2 {
		return iana.Arch(binary.BigEndian.Uint16(b)), true
	}
	parts := strings.Split(class, ":")
	if len(parts) < 3 || parts[1] != "Arch" || len(parts[2]) != 5 {
		return 0, false
	}
	n := 0
	for _, d := range parts[2] {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int(d-'0')
	}
	return iana.Arch(n), n <= 0xffff
}

// Refusals of messages that are no requests of a client on our network. They are
// names of counters.
const (
	NotARequest  = "not_a_request"
	NotEthernet  = "not_ethernet"
	Relayed      = "relayed"
	NoType       = "no_message_type"
	NotForUs     = "not_for_us"
	Ignored      = "ignored"
	Unsupporting = "unsupported_architecture"
)

// Check refuses what is no request of a client on our network; empty: it is one.
func Check(m *dhcpv4.DHCPv4) string {
	switch {
	case m.OpCode != dhcpv4.OpcodeBootRequest:
		return NotARequest
	case m.HWType != iana.HWTypeEthernet || len(m.ClientHWAddr) != 6 || m.ClientHWAddr[0]&1 != 0 || bytes.Equal(m.ClientHWAddr, make([]byte, 6)):
		return NotEthernet
	case m.GatewayIPAddr != nil && !m.GatewayIPAddr.IsUnspecified():
		return Relayed // who is behind a relay cannot be told from who says so
	case m.MessageType() == dhcpv4.MessageTypeNone:
		return NoType
	}
	return ""
}
