package bgp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
)

// reason says why a session is down, to an operator.
func reason(err error, source netip.Addr) string {
	var op *net.OpError
	var timeout net.Error
	dialing := errors.As(err, &op) && op.Op == "dial"
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("source address %s is not on this node", source)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the router refuses connections: is BGP running there, on this port?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "the router is unreachable"
	case dialing && errors.As(err, &timeout) && timeout.Timeout():
		// A router's kernel drops a SYN with a wrong TCP MD5 digest without a word (RFC 2385, 2.0).
		return "no answer from the router; a wrong TCP MD5 password, on either side, looks the same"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "the router does not open the session: does it know " + source.String() + " as a neighbour?"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the router closed the connection; does it know " + source.String() + " as a neighbour?"
	}
	return err.Error()
}
