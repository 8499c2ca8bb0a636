package health

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// errNoRouter says that the link address of a router is not known.
var errNoRouter = errors.New("link address of the router is not known")

// rawSender sends pings out of the north interface to a router's link address,
// whatever the routing table says: so they really cross the router (S-51).
type rawSender struct {
	fd    int
	link  *net.Interface
	north netip.Addr
	mac   map[netip.Addr]net.HardwareAddr // of routers
	frame []byte
	id    uint16 // of the IPv4 header
}

func newRawSender(exception string, north netip.Addr) (*rawSender, error) {
	link, err := net.InterfaceByName(exception)
	if err != nil {
		return nil, fmt.Errorf("interface %s, which carries the north addresses, is not there; create it, or set dataplane.north.exception in node.yaml", exception)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0) // protocol 0: it only sends
	if err != nil {
		return nil, fmt.Errorf("open packet socket for health pings: %w", err)
	}
	return &rawSender{fd: fd, link: link, north: north, mac: map[netip.Addr]net.HardwareAddr{}}, nil
}

func (r *rawSender) close() { unix.Close(r.fd) }

// learn reads the kernel's neighbour table. The dataplane keeps the routers in
// it resolved.
func (r *rawSender) learn(routers []netip.Addr) {
	clear(r.mac)
	entries, err := netlink.NeighList(r.link.Index, netlink.FAMILY_V4)
	if err != nil {
		return // every router is unknown then, which is reported as that
	}
	for _, e := range entries {
		addr, ok := netip.AddrFromSlice(e.IP)
		if !ok || len(e.HardwareAddr) != 6 || e.State&(netlink.NUD_FAILED|netlink.NUD_INCOMPLETE) != 0 {
			continue
		}
		for _, router := range routers {
			if addr.Unmap() == router {
				r.mac[router] = e.HardwareAddr
			}
		}
	}
}

// send sends the body of a ping to a node's north address by way of a router.
func (r *rawSender) send(router, to netip.Addr, body []byte) error {
	mac := r.mac[router]
	if mac == nil {
		return errNoRouter
	}
	r.id++
	r.frame = pingFrame(r.frame[:0], r.link.HardwareAddr, mac, r.north, to, r.id, body)
	sa := &unix.SockaddrLinklayer{Protocol: 0x0008, Ifindex: r.link.Index, Halen: 6} // ETH_P_IP, network order
	copy(sa.Addr[:], mac)
	if err := unix.Sendto(r.fd, r.frame, unix.MSG_DONTWAIT, sa); err != nil {
		return fmt.Errorf("send a ping on %s: %w", r.link.Name, err)
	}
	return nil
}

// pingFrame appends the whole Ethernet frame of a ping to frame.
func pingFrame(frame []byte, src, dst net.HardwareAddr, from, to netip.Addr, id uint16, body []byte) []byte {
	b := binary.BigEndian
	frame = append(append(frame, dst...), src...)
	frame = b.AppendUint16(frame, packet.EtherTypeIPv4)
	ip := len(frame)
	frame = append(frame, 0x45, 0)
	frame = b.AppendUint16(frame, uint16(packet.IPv4Size+packet.UDPSize+len(body)))
	frame = b.AppendUint16(frame, id)
	frame = b.AppendUint16(frame, 0)
	frame = append(frame, 64, packet.ProtoUDP, 0, 0)
	frame = append(frame, from.AsSlice()...)
	frame = append(frame, to.AsSlice()...)
	b.PutUint16(frame[ip+10:], packet.Checksum(frame[ip:]))
	frame = b.AppendUint16(frame, wire.PortPing)
	frame = b.AppendUint16(frame, wire.PortPing)
	frame = b.AppendUint16(frame, uint16(packet.UDPSize+len(body)))
	frame = b.AppendUint16(frame, 0) // none: the body has a tag (RFC 768)
	return append(frame, body...)
}
