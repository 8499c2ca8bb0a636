package agent

import (
	"net/netip"

	"weir/dataplane/flow"
	"weir/dataplane/wire"
)

// Stray is a client's packet of a flow that is not on this server, as the data
// path reports it. The packet itself is gone.
type Stray struct {
	Key   flow.Key
	From  netip.Addr // node that sent it here
	Seq   uint32
	Ack   uint32
	Flags uint8 // TCP's
}

// notHereRate bounds the answers to strays, per second.
const notHereRate = 10000

// Stray tells the node that sent a packet of a flow that we do not own (S-20).
// If by now we do, or are about to, the packet was of the tuple's last life,
// and its sender knows where the next one is.
func (c *Core) Stray(now int64, s *Stray) {
	if _, ours := c.flows.Get(&s.Key); ours || c.handshakes[s.Key] != nil {
		return
	}
	if !c.strays.take(now, notHereRate) {
		c.counters.NotHereLimited++
		return
	}
	to := c.byAddr[s.From]
	if to == nil {
		return // it has left the configuration since
	}
	c.counters.NotHere++
	m := wire.Tracker{Key: s.Key, Seq: s.Seq, Ack: s.Ack, TCPFlags: s.Flags, Ingress: NoNode, Primary: NoNode, Secondary: NoNode}
	c.send(to, wire.MsgNotHere, &m)
}

// bucket is a token bucket that holds a tenth of a second's worth.
type bucket struct {
	level float64
	last  int64
}

func (b *bucket) take(now int64, rate float64) bool {
	b.level = min(rate/10, b.level+rate*float64(now-b.last)/1e9)
	b.last = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}
