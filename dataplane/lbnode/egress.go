package lbnode

import (
	"weir/dataplane/flow"
	"weir/dataplane/packet"
)

// egress sends a server's packet to the client: it takes the encapsulation off
// and forwards, without state, but only for registered servers and only from
// public endpoints of theirs (S-23).
func (w *Worker) egress(b *packet.Buf) {
	if w.view.self == nil || !w.view.self.Egress {
		w.drop(b, DropRole)
		return
	}
	outer, st := packet.Decapsulate(b)
	if st != packet.OK {
		w.drop(b, dropOf(st))
		return
	}
	server := w.view.byAddress.find(outer.Src)
	if server == nil || outer.Dst != w.view.south4 {
		w.drop(b, DropStranger)
		return
	}
	var k flow.Key
	if _, _, st := packet.ReverseFlowOf(b.Bytes(), &k); st != packet.OK {
		w.drop(b, dropOf(st))
		return
	}
	if !server.mayUse(&k) {
		w.drop(b, DropNotPublic)
		return
	}
	w.seen.mark(server.Number, w.tick32())
	w.toRouter(b, &k)
	if b.Verdict == packet.Send {
		w.burst.egressed++
	}
}

// toRouter addresses a bare frame to a router, chosen by flow, and sends it
// north. The EtherType is in place.
func (w *Worker) toRouter(b *packet.Buf, k *flow.Key) {
	routers := w.cfg.Routers
	if len(routers) == 0 {
		w.drop(b, DropNoNextHop)
		return
	}
	r := routers[0]
	if len(routers) > 1 {
		r = routers[flow.Hash(k, w.seed)%uint64(len(routers))]
	}
	frame := b.Bytes()
	copy(frame[0:6], r[:])
	copy(frame[6:12], w.cfg.MACs[packet.North][:])
	b.Port, b.Verdict = packet.North, packet.Send
}
