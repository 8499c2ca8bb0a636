package netboot

import (
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Programs of Debian's package ipxe that are served.
const (
	FileBIOS = "undionly.kpxe" // uses the driver of the NIC's own ROM
	FileUEFI = "snponly.efi"   // uses the driver of the firmware
)

// ScriptPath is where iPXE begins, and ProgramPath the folder of its programs,
// over HTTP.
const (
	ScriptPath  = "/boot.ipxe"
	ProgramPath = "/ipxe/"
)

// Service is where the boot service is.
type Service struct {
	Address netip.Addr // of DHCP, TFTP and HTTP
	HTTP    string     // "http://10.40.0.1:6094"
}

// File is what a client loads first: a name for TFTP, or a URL; empty: nothing.
func (s Service) File(k Kind) string {
	switch k {
	case BIOS:
		return FileBIOS
	case UEFI:
		return FileUEFI
	case UEFIHTTP:
		return s.HTTP + ProgramPath + FileUEFI
	case IPXE:
		return s.HTTP + ScriptPath
	}
	return ""
}

// pxeOptions are PXE's own options (PXE 2.1, 2.2.3): discovery control (6) with
// bit 3, "load the boot file that this offer names", and the end mark.
var pxeOptions = []byte{6, 1, 8, 255}

// boot adds what makes a client boot to a reply to request.
func (s Service) boot(reply, request *dhcpv4.DHCPv4, k Kind) {
	file := s.File(k)
	if file == "" {
		return
	}
	reply.ServerIPAddr = s.ip()
	reply.BootFileName = file
	// Some look at the field only, some at the option only.
	reply.UpdateOption(dhcpv4.OptBootFileName(file))
	class := classPXE
	if k == UEFIHTTP {
		class = classHTTP // without it the firmware takes the offer for no boot offer
	} else {
		reply.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(optVendor), pxeOptions))
		reply.UpdateOption(dhcpv4.OptTFTPServerName(s.Address.String()))
	}
	reply.UpdateOption(dhcpv4.OptClassIdentifier(class))
	if id := request.Options.Get(dhcpv4.GenericOptionCode(optMachine)); id != nil {
		reply.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(optMachine), id)) // PXE 2.1, 2.2.2: as it came
	}
}

func (s Service) ip() net.IP { return s.Address.AsSlice() }

// reply begins an answer.
func (s Service) reply(m *dhcpv4.DHCPv4, t dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	r, err := dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(t), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(s.ip())))
	if err != nil {
		panic("netboot: " + err.Error()) // only a modifier could fail, and none does
	}
	return r
}

// isOurs reports whether a message is for this server, or for any.
func (s Service) isOurs(m *dhcpv4.DHCPv4) bool {
	id := m.ServerIdentifier()
	return id == nil || id.Equal(s.ip())
}
