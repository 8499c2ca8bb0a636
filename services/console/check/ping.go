package check

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// Length of the IP headers (without options) and of an ICMP echo header, bytes.
const (
	ipv4Header = 20
	ipv6Header = 40
	echoHeader = 8
)

// protocol is what differs between the two ICMPs.
type protocol struct {
	network        string
	number, header int
	request, reply icmp.Type
	level, option  int // "do not fragment, and do not believe what is known of the path" (ip(7))
	how            int
}

var (
	icmp4 = protocol{"ip4:icmp", 1, ipv4Header, ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE}
	icmp6 = protocol{"ip6:ipv6-icmp", 58, ipv6Header, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE}
)

// repeat is when a request without a reply is sent again: a link that loses one
// packet works. Each is from a socket of its own, as an address that comes up
// meanwhile is a better one to send from.
const repeat = 500 * time.Millisecond

// Ping implements Network.
func (System) Ping(ctx context.Context, to netip.Addr, size int) error {
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(Timeout)
	}
	for {
		until := time.Now().Add(repeat)
		if until.After(end) {
			until = end
		}
		if err := ping(ctx, to, size, until); !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if !time.Now().Before(end) {
			return errors.New("no answer")
		}
	}
}

// ping sends one request.
func ping(ctx context.Context, to netip.Addr, size int, until time.Time) error {
	p := icmp4
	if to.Is6() {
		p = icmp6
	}
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), p.level, p.option, p.how) }); cerr != nil {
			return cerr
		}
		return err
	}}
	c, err := d.DialContext(ctx, p.network, to.String())
	if err != nil {
		return reason(err)
	}
	defer c.Close()
	if err := c.SetDeadline(until); err != nil {
		return fmt.Errorf("set a deadline: %w", err)
	}
	return p.echo(c.(*net.IPConn), size)
}

// echo sends one request and waits for its reply.
func (p *protocol) echo(c *net.IPConn, size int) error {
	data := make([]byte, max(8, size-p.header-echoHeader))
	binary.BigEndian.PutUint64(data, rand.Uint64())
	id := int(rand.Uint32() & 0xffff)
	request, err := (&icmp.Message{Type: p.request, Body: &icmp.Echo{ID: id, Seq: 1, Data: data}}).Marshal(nil)
	if err != nil {
		return fmt.Errorf("make an echo request: %w", err)
	}
	if _, err := c.Write(request); err != nil {
		return reason(err)
	}
	buffer := make([]byte, 1<<16)
	for {
		n, _, err := c.ReadFrom(buffer) // unlike Read it takes the IP header off
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		} else if err != nil {
			return reason(err)
		}
		m, err := icmp.ParseMessage(p.number, buffer[:n])
		if err != nil || m.Type != p.reply {
			continue // somebody else's
		}
		if e, ok := m.Body.(*icmp.Echo); ok && e.ID == id && string(e.Data) == string(data) {
			return nil
		}
	}
}
