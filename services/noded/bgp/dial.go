package bgp

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"weir/services/config"
)

// dial connects to a router from one of our addresses, with what protects the
// session: TCP MD5 (RFC 2385) and GTSM (RFC 5082).
func dial(ctx context.Context, source netip.Addr, r *config.Router, asn uint32) (net.Conn, error) {
	d := net.Dialer{
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0)),
		Timeout:   dialTimeout,
		Control: func(_, _ string, c syscall.RawConn) error {
			var failed error
			err := c.Control(func(fd uintptr) { failed = protect(int(fd), r, asn) })
			if err != nil {
				return err
			}
			return failed
		},
	}
	return d.DialContext(ctx, "tcp", netip.AddrPortFrom(r.Address, r.Port).String())
}

func protect(fd int, r *config.Router, asn uint32) error {
	if r.Password != "" {
		if err := setMD5(fd, r); err != nil {
			return err
		}
	}
	switch {
	case r.TTLSecurity: // routers are one hop away (RFC 5082, 3)
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MINTTL, 255); err != nil {
			return err
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TTL, 255)
	case r.ASN != asn:
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TTL, 1)
	}
	return nil
}

func setMD5(fd int, r *config.Router) error {
	sig := unix.TCPMD5Sig{Keylen: uint16(len(r.Password))}
	copy(sig.Key[:], r.Password)
	sig.Addr.Family = unix.AF_INET
	a := r.Address.As4()
	copy(sig.Addr.Data[2:], a[:]) // struct sockaddr_in: port, address
	return unix.SetsockoptTCPMD5Sig(fd, unix.IPPROTO_TCP, unix.TCP_MD5SIG, &sig)
}
