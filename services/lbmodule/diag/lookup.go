package diag

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"weir/dataplane/flow"
	"weir/services/lbmodule/agent"
)

// Lookup is the state of the server's socket of a flow. When the kernel cannot
// be asked the answer is SocketLive: nothing is taken over or forgotten on a
// guess.
func (c *Conn) Lookup(k *flow.Key) agent.SocketState {
	r := request{family: unix.AF_INET6, states: ^uint32(0), sport: k.VIPPort, dport: k.ClientPort, src: k.VIP, dst: k.Client}
	if k.Is4() {
		r.family = unix.AF_INET
		r.src, r.dst = [16]byte{}, [16]byte{}
		copy(r.src[:4], k.VIP[12:])
		copy(r.dst[:4], k.Client[12:])
	}
	state := agent.SocketNone
	err := c.ask(&r, func(m *reply) {
		switch m.state {
		case stateListen, stateClose:
			// The kernel falls back to the listener when there is nothing closer.
		case stateSynRecv:
			state = agent.SocketOpening
		case stateTimeWait:
			state = agent.SocketTimeWait
		default:
			state = agent.SocketLive
		}
	})
	if err != nil && !gone(err) {
		return agent.SocketLive
	}
	return state
}

// Backlog is the fullest accept queue among the listeners of public endpoints:
// connections that wait in it, and how many it holds. 0, 0 without a listener.
func (c *Conn) Backlog(endpoints []agent.Endpoint) (waiting, size int, err error) {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		r := request{family: family, dump: true, states: 1 << stateListen}
		err = c.ask(&r, func(m *reply) {
			if m.wqueue > 0 && listensFor(m, family, endpoints) && int(m.rqueue)*size >= waiting*int(m.wqueue) {
				waiting, size = int(m.rqueue), int(m.wqueue)
			}
		})
		if err != nil && !gone(err) {
			return 0, 0, err
		}
	}
	return waiting, size, nil
}

// listensFor reports whether a listener would get an endpoint's connections.
func listensFor(m *reply, family uint8, endpoints []agent.Endpoint) bool {
	local := netip.AddrFrom16(m.src)
	if family == unix.AF_INET {
		local = netip.AddrFrom4([4]byte(m.src[:4]))
	}
	local = local.Unmap()
	for i := range endpoints {
		e := &endpoints[i]
		if m.sport >= e.PortFirst && m.sport <= e.PortLast && (local.IsUnspecified() || local == e.Address) {
			return true
		}
	}
	return false
}
