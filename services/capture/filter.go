package capture

import (
	"fmt"
	"net/netip"
	"strconv"

	"weir/dataplane/packet"
)

// Filter chooses frames: those with this address and those with this TCP or UDP
// port, as source or destination, of the packet itself or of one encapsulated in
// it. The zero Filter takes every frame.
type Filter struct {
	Host netip.Addr
	Port uint16
}

// ParseFilter reads "host ADDRESS", "port NUMBER", or both.
func ParseFilter(words []string) (f Filter, err error) {
	for len(words) > 0 {
		if len(words) < 2 {
			return f, fmt.Errorf("%s what?", words[0])
		}
		switch words[0] {
		case "host":
			if f.Host, err = netip.ParseAddr(words[1]); err != nil || f.Host.Is4In6() || f.Host.Zone() != "" {
				return f, fmt.Errorf("%q is not an address", words[1])
			}
		case "port":
			n, err := strconv.ParseUint(words[1], 10, 16)
			if err != nil || n == 0 {
				return f, fmt.Errorf("%q is not a port", words[1])
			}
			f.Port = uint16(n)
		default:
			return f, fmt.Errorf("%q is no filter; write host ADDRESS or port NUMBER", words[0])
		}
		words = words[2:]
	}
	return f, nil
}

// Match reports whether a frame is chosen. It does not allocate.
func (f *Filter) Match(frame []byte) bool {
	if *f == (Filter{}) {
		return true
	}
	kind, rest := network(frame)
	if kind == packet.EtherTypeARP && f.Port == 0 && len(rest) >= packet.ARPSize {
		return netip.AddrFrom4([4]byte(rest[arpSender:])) == f.Host || netip.AddrFrom4([4]byte(rest[arpTarget:])) == f.Host
	}
	if kind != packet.EtherTypeIPv4 && kind != packet.EtherTypeIPv6 {
		return false
	}
	h, ok := parseIP(rest)
	if !ok {
		return false
	}
	if f.matches(&h) {
		return true
	}
	in, ok := h.inner()
	return ok && f.matches(&in)
}

func (f *Filter) matches(h *ip) bool {
	if f.Host.IsValid() && f.Host != h.src && f.Host != h.dst {
		return false
	}
	if f.Port == 0 {
		return true
	}
	src, dst := h.ports()
	return f.Port == src || f.Port == dst
}
