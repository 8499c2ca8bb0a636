// Package dhcpd is the network side of package netboot: sockets, bounds, the log.
package dhcpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"

	"weir/provisioning/guard"
	"weir/provisioning/netboot"
)

// maxMessage is the largest datagram that is read, in bytes: what an Ethernet
// frame holds. Anything longer is no client's.
const maxMessage = 1472

// Answering is more than any rack needs when its power comes back, and little
// for us: what is above it is dropped.
const (
	perSecond = 200
	burst     = 400
)

// Decider decides on a message that came to a port.
type Decider interface {
	Answer(m *dhcpv4.DHCPv4, port int, now time.Time) netboot.Answer
}

// Leases remembers leases.
type Leases interface {
	PutLeases([]netboot.Lease) error
}

// Server answers DHCP.
type Server struct {
	log      *slog.Logger
	counters *guard.Counters
	leases   Leases

	mu      sync.Mutex // of decider: both ports ask it
	decider Decider
	rate    *guard.Rate
	said    guard.Said
}

// New is a server that answers what the decider decides.
func New(log *slog.Logger, counters *guard.Counters, decider Decider, leases Leases) *Server {
	return &Server{log: log, counters: counters, decider: decider, leases: leases, rate: guard.NewRate(perSecond, burst)}
}

// Proxy makes a Decider of a netboot.Proxy, which needs no time.
type Proxy struct{ netboot.Proxy }

// Answer decides.
func (p Proxy) Answer(m *dhcpv4.DHCPv4, port int, _ time.Time) netboot.Answer {
	return p.Proxy.Answer(m, port)
}

// Listen opens a port on an interface, broadcasts included.
func Listen(name string, port int) (*net.UDPConn, error) {
	c, err := server4.NewIPv4UDPConn(name, &net.UDPAddr{Port: port})
	if err != nil {
		return nil, fmt.Errorf("listen for DHCP on %s, port %d: %w", name, port, err)
	}
	return c, nil
}

// Serve answers what comes to a port until the context ends.
func (s *Server) Serve(ctx context.Context, conn *net.UDPConn, port int) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	b := make([]byte, maxMessage+1)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // of one datagram, such as an ICMP error for an answer
			continue
		}
		reply, to := s.answer(b[:n], from, port, time.Now())
		if reply == nil {
			continue
		}
		if _, err := conn.WriteToUDPAddrPort(reply, to); err != nil {
			s.counters.Refuse("dhcp", "not_sent")
			if now := time.Now(); s.said.New("send", now) {
				s.log.Error("send a DHCP answer", "to", to, "error", err)
			}
		}
	}
}

// answer is the datagram that answers one, and where it goes; nil: none does.
func (s *Server) answer(b []byte, from netip.AddrPort, port int, now time.Time) ([]byte, netip.AddrPort) {
	if !s.rate.Allow(netip.Addr{}, now) {
		s.counters.Refuse("dhcp", "too_many")
		return nil, from
	}
	if len(b) > maxMessage {
		s.counters.Refuse("dhcp", "oversized")
		return nil, from
	}
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		s.counters.Refuse("dhcp", "malformed")
		return nil, from
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.decider.Answer(m, port, now)
	if len(a.Changes) > 0 {
		if err := s.leases.PutLeases(a.Changes); err != nil {
			// RFC 2131, 4.3.1: an address is the client's only if we will remember it.
			s.counters.Refuse("dhcp", "not_kept")
			s.log.Error("keep a lease", "error", err)
			return nil, from
		}
	}
	if a.Log != "" && s.said.New(a.Log, now) {
		s.log.Info(a.Log)
	}
	if a.Refused != "" {
		s.counters.Refuse("dhcp", a.Refused)
	}
	if a.Reply == nil {
		return nil, from
	}
	s.counters.Answer("dhcp", string(a.Client.Kind))
	return a.Reply.ToBytes(), destination(a.Reply, from, port)
}

// destination is where an answer goes (RFC 2131, 4.1). A client without an
// address gets it by broadcast, whether it asked for that or not: it does not
// answer ARP yet.
func destination(r *dhcpv4.DHCPv4, from netip.AddrPort, port int) netip.AddrPort {
	if port == netboot.BootPort {
		return from // PXE 2.1, 2.2.1: to the port that it came from
	}
	to := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	if c := r.ClientIPAddr.To4(); c != nil && !c.IsUnspecified() && r.MessageType() != dhcpv4.MessageTypeNak {
		to = netip.AddrFrom4([4]byte(c))
	}
	return netip.AddrPortFrom(to, netboot.ClientPort)
}
