package health

import (
	crand "crypto/rand"
	"math/rand/v2"
	"net/netip"
	"time"

	"weir/dataplane/wire"
)

// forgetPing is how long an answer to a ping is waited for. It is longer than
// any check interval in use: a late answer still proves that the node lives.
const forgetPing = 2 * time.Second

// peer is where a node is reached.
type peer struct {
	number       uint16
	north, south netip.Addr
}

// checked is a check that succeeded: both pings came back (S-51).
type checked struct {
	Node  uint16
	Boot  uint64 // of its dataplane
	Noded uint64 // of its control plane
	RTT   [2]time.Duration
}

// check is one under way: a request on each side, each answered on the other.
type check struct {
	node   uint16
	start  time.Duration
	nonces [2]uint64
	done   [2]bool
	rtt    [2]time.Duration
	boot   uint64
	noded  uint64
}

// pinger makes pings and matches their answers. It does no I/O.
type pinger struct {
	self   uint16
	boot   uint64 // of this control plane
	keys   []wire.ControlKey
	random *rand.ChaCha8
	open   map[uint64]*check // by nonce
	worker map[uint16]uint8  // that the next ping of a node names
	seq    uint64
}

func newPinger(self uint16, boot uint64) *pinger {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails (crypto/rand)
	return &pinger{self: self, boot: boot, random: rand.NewChaCha8(seed), open: map[uint64]*check{}, worker: map[uint16]uint8{}}
}

// ask makes the two requests of a check, by side. The next worker of the
// node's dataplane answers them.
func (p *pinger) ask(now time.Duration, node uint16) (requests [2][]byte) {
	c := &check{node: node, start: now}
	worker := p.worker[node]
	p.worker[node]++
	key := &p.keys[0]
	for side := range requests {
		p.seq++
		c.nonces[side] = p.random.Uint64()
		p.open[c.nonces[side]] = c
		requests[side] = make([]byte, wire.PingSize)
		wire.PutPing(requests[side], &wire.Ping{
			Header: wire.Header{Type: wire.MsgPing, Worker: worker, Role: wire.RoleNode, Sender: p.self, Seq: p.seq, KeyID: key.ID},
			Nonce:  c.nonces[side], Node: node, Side: uint8(side), Noded: p.boot,
		}, key.Key)
	}
	return requests
}

// answer takes a pong that has been verified. ok says that it completes a check.
func (p *pinger) answer(now time.Duration, pong *wire.Ping) (done checked, ok bool) {
	c := p.open[pong.Nonce]
	if c == nil || c.node != pong.Sender || pong.Role != wire.RoleNode || c.nonces[pong.Side] != pong.Nonce {
		return checked{}, false
	}
	delete(p.open, pong.Nonce)
	other := 1 - pong.Side
	if c.done[other] && (c.boot != pong.Boot || c.noded != pong.Noded) {
		return checked{}, false // the node was started anew between the two
	}
	c.done[pong.Side], c.rtt[pong.Side], c.boot, c.noded = true, now-c.start, pong.Boot, pong.Noded
	return checked{Node: c.node, Boot: c.boot, Noded: c.noded, RTT: c.rtt}, c.done[other]
}

// expire forgets checks that are not answered.
func (p *pinger) expire(now time.Duration) {
	for nonce, c := range p.open {
		if now-c.start > forgetPing {
			delete(p.open, nonce)
		}
	}
}
