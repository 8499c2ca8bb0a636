package health

import (
	"fmt"
	"net/netip"
	"time"

	"weir/dataplane/wire"
	"weir/services/noded/membership"
)

// The methods of membership.Output.

// Ping sends a request of a check.
func (l *Loop) Ping(node uint16, side uint8, nonce uint64, worker uint8) {
	if node == l.me.Number {
		l.echo(nonce)
		return
	}
	m := l.nodes[node]
	if m == nil {
		return
	}
	l.seq++
	l.sent(node, side, nonce)
	wire.PutPing(l.frame[:], &wire.Ping{
		Header: wire.Header{Type: wire.MsgPing, Worker: worker, Role: wire.RoleNode, Sender: l.me.Number, Seq: l.seq, KeyID: l.keys[0].ID},
		Nonce:  nonce, Node: node, Side: side, Noded: l.noded,
	}, l.keys[0].Key)
	switch {
	case side == wire.PingSouth:
		send(l.sockets.south, l.frame[:], netip.AddrPortFrom(m.South, wire.PortPing))
	case len(l.routers) == 0: // a cluster without BGP: the nodes are next to each other
		send(l.sockets.north, l.frame[:], netip.AddrPortFrom(m.North, wire.PortPing))
	default:
		l.throughRouter(m.North)
	}
}

// throughRouter sends the ping in frame by way of the next router whose link
// address is known.
func (l *Loop) throughRouter(to netip.Addr) {
	for range l.routers {
		l.turn++
		if l.sockets.raw.send(l.routers[l.turn%len(l.routers)], to, l.frame[:]) == nil {
			return
		}
	}
	l.count.NoRouter++
	l.learned = 0
}

// Gossip seals and sends a gossip datagram.
func (l *Loop) Gossip(node uint16, d []byte) {
	m := l.nodes[node]
	if m == nil {
		return
	}
	l.seq++
	wire.Seal(d, &wire.Header{Type: wire.MsgGossip, Role: wire.RoleNode, Sender: l.me.Number, Boot: l.noded, Seq: l.seq, KeyID: l.keys[0].ID}, l.keys[0].Key)
	send(l.sockets.gossip, d, netip.AddrPortFrom(m.South, wire.PortGossip))
}

// Flush is passed on.
func (l *Loop) Flush() { l.flush() }

// lateEvery is how often the log says that this thread is late: a machine that
// is too slow is late all the time.
const lateEvery = 10 * time.Second

// Event writes the log.
func (l *Loop) Event(e membership.Event) {
	l.events[e.Kind.String()]++
	if e.Kind == membership.Late {
		now := clock()
		if l.late != 0 && now-l.late < lateEvery {
			return
		}
		l.late = now
	}
	l.log.Info("membership: "+e.String(), "boot", fmt.Sprintf("%016x", e.Boot))
}
