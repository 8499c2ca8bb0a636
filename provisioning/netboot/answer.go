package netboot

import (
	"fmt"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Ports (RFC 2131, 4.1; PXE 2.1, 2.2.1).
const (
	ServerPort = 67
	ClientPort = 68
	BootPort   = 4011
)

// Answer is what a message leads to.
type Answer struct {
	Reply   *dhcpv4.DHCPv4 // nil: nothing is said
	Client  Client
	Refused string  // name of a counter; empty: it was answered
	Log     string  // for operators; empty: nothing to say
	Changes []Lease // to be kept before the reply is sent
}

func refused(c Client, why string) Answer { return Answer{Client: c, Refused: why} }

// unsupported is the answer to a machine that we have nothing for: none, and a
// line in the log that says why.
func unsupported(c Client) Answer {
	return Answer{Client: c, Refused: Unsupporting, Log: fmt.Sprintf("%s gets no boot file: %s", c.MAC, c.Why)}
}

// Proxy answers beside somebody else's DHCP server, which gives the addresses
// (PXE 2.1, 2.1: ProxyDHCP). Firmware may take the boot file from our offer on
// port 67, or ask for it again on 4011: some do only one of the two, so both are
// answered, with the same.
type Proxy struct{ Service }

// Answer decides on a message that came to a port, 67 or 4011.
func (p Proxy) Answer(m *dhcpv4.DHCPv4, port int) Answer {
	if why := Check(m); why != "" {
		return refused(Client{MAC: m.ClientHWAddr}, why)
	}
	c := Classify(m)
	t := dhcpv4.MessageTypeNone
	switch is := m.MessageType(); {
	case c.Kind == Plain:
		return refused(c, Ignored)
	case port == ServerPort && is == dhcpv4.MessageTypeDiscover:
		t = dhcpv4.MessageTypeOffer
	case port == BootPort && (is == dhcpv4.MessageTypeRequest || is == dhcpv4.MessageTypeInform):
		t = dhcpv4.MessageTypeAck
	default:
		return refused(c, Ignored) // for the other server
	}
	switch {
	case c.Kind == Unsupported:
		return unsupported(c)
	case !p.isOurs(m):
		return refused(c, NotForUs)
	}
	r := p.reply(m, t)
	p.boot(r, m, c.Kind)
	return Answer{Reply: r, Client: c, Log: fmt.Sprintf("%s (%s) is told to load %s", c.MAC, c.Kind, r.BootFileName)}
}

// Names of counters, for a server's refusals.
const (
	NoAddress    = "no_free_address"
	UnknownLease = "unknown_lease"
)

// Server gives addresses too (RFC 2131, 4.3).
type Server struct {
	Service
	Network
	Pool *Pool
}

// Answer decides on a message that came to a port, 67 or 4011.
func (s *Server) Answer(m *dhcpv4.DHCPv4, port int, now time.Time) Answer {
	if why := Check(m); why != "" {
		return refused(Client{MAC: m.ClientHWAddr}, why)
	}
	if port == BootPort {
		return Proxy{s.Service}.Answer(m, port)
	}
	c := Classify(m)
	switch m.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		return s.offer(m, c, now)
	case dhcpv4.MessageTypeRequest:
		return s.request(m, c, now)
	case dhcpv4.MessageTypeDecline: // RFC 2131, 4.3.3
		if !s.isOurs(m) {
			return refused(c, NotForUs)
		}
		a := Answer{Client: c, Changes: s.Pool.Decline(c.MAC, addressOf(m.RequestedIPAddress()), now)}
		if len(a.Changes) > 0 {
			a.Log = fmt.Sprintf("%s says that %s is in use by somebody else; it is not given out for %s", c.MAC, m.RequestedIPAddress(), declinedFor)
		}
		return a
	case dhcpv4.MessageTypeRelease: // RFC 2131, 4.3.4
		if !s.isOurs(m) {
			return refused(c, NotForUs)
		}
		return Answer{Client: c, Changes: s.Pool.Release(c.MAC, addressOf(m.ClientIPAddr), now)}
	case dhcpv4.MessageTypeInform: // RFC 2131, 4.3.5: no address, no lease
		if a := addressOf(m.ClientIPAddr); !s.Prefix.Contains(a) {
			return refused(c, NotForUs) // the answer would go there
		}
		r := s.reply(m, dhcpv4.MessageTypeAck)
		r.ClientIPAddr = m.ClientIPAddr
		s.Network.options(r, 0)
		return Answer{Reply: r, Client: c}
	}
	return refused(c, Ignored)
}

// offer answers DISCOVER (RFC 2131, 4.3.1).
func (s *Server) offer(m *dhcpv4.DHCPv4, c Client, now time.Time) Answer {
	if c.Kind == Unsupported {
		return unsupported(c)
	}
	address, ok := s.Pool.Offer(c.MAC, addressOf(m.RequestedIPAddress()), now)
	if !ok {
		return Answer{Client: c, Refused: NoAddress, Log: fmt.Sprintf("%s gets no address: the pool is used up; make it larger, or the leases shorter", c.MAC)}
	}
	r := s.reply(m, dhcpv4.MessageTypeOffer)
	r.YourIPAddr = address.AsSlice()
	s.Network.options(r, s.Pool.Duration)
	s.boot(r, m, c.Kind)
	return Answer{Reply: r, Client: c, Log: said(c, r)}
}

// request answers REQUEST (RFC 2131, 4.3.2): the choice of our offer, a client
// that was here before, or one that extends its lease.
func (s *Server) request(m *dhcpv4.DHCPv4, c Client, now time.Time) Answer {
	wanted, id := addressOf(m.RequestedIPAddress()), m.ServerIdentifier()
	switch {
	case c.Kind == Unsupported:
		return unsupported(c)
	case id != nil && !id.Equal(s.ip()): // it took somebody else's offer
		s.Pool.Forget(c.MAC, now)
		return refused(c, NotForUs)
	case !wanted.IsValid():
		wanted = addressOf(m.ClientIPAddr) // RENEWING, REBINDING
	}
	lease, verdict := s.Pool.Request(c.MAC, wanted, id != nil, now)
	switch verdict {
	case silent: // another server may know it
		return refused(c, UnknownLease)
	case deny:
		r := s.reply(m, dhcpv4.MessageTypeNak)
		r.SetBroadcast() // RFC 2131, 4.1: its address is not its own
		return Answer{Reply: r, Client: c, Log: fmt.Sprintf("%s asks for %s, which is not its address", c.MAC, wanted)}
	}
	r := s.reply(m, dhcpv4.MessageTypeAck)
	if wanted == addressOf(m.ClientIPAddr) {
		r.ClientIPAddr = m.ClientIPAddr
	}
	r.YourIPAddr = lease.Address.AsSlice()
	s.Network.options(r, s.Pool.Duration)
	s.boot(r, m, c.Kind)
	return Answer{Reply: r, Client: c, Log: said(c, r), Changes: []Lease{lease}}
}

func said(c Client, r *dhcpv4.DHCPv4) string {
	if r.BootFileName == "" {
		return fmt.Sprintf("%s has address %s", c.MAC, r.YourIPAddr)
	}
	return fmt.Sprintf("%s (%s) has address %s and is told to load %s", c.MAC, c.Kind, r.YourIPAddr, r.BootFileName)
}
