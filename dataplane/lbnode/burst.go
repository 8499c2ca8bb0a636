package lbnode

import (
	"encoding/binary"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// burstScratch holds what the passes over a burst hand to each other.
type burstScratch struct {
	keys   [flow.MaxBurst]flow.Key
	hashes [flow.MaxBurst]uint64
	found  [flow.MaxBurst]uint32
	which  [flow.MaxBurst]uint8 // place in the burst

	egressed uint64 // packets sent north so far: counted once per burst, the counter's store being a slow one
}

// Burst handles up to flow.MaxBurst frames at time now (monotonic, ns) and sets
// the Verdict and Port of each. Client packets of known flows are handled in
// passes over the whole burst, so that their cache misses overlap: parse and
// hash all, look all up, then encapsulate all. Everything else leaves that path
// at the first pass that shows it.
func (w *Worker) Burst(now int64, bufs []packet.Buf) {
	w.now = now
	s := &w.burst
	n := 0
	for i := range bufs {
		b := &bufs[i]
		b.Verdict = packet.Drop
		if b.Port != packet.North {
			w.south(b)
			continue
		}
		frame := b.Bytes()
		_, l4, st := packet.FlowOf(frame, &s.keys[n])
		if st != packet.OK {
			w.count.add(dropOf(st), 1)
			continue
		}
		s.hashes[n] = w.seed.Hash(&s.keys[n])
		if s.keys[n].Proto != packet.ProtoTCP || frame[l4+13]&packet.SYN != 0 {
			w.northSlow(b, &s.keys[n], s.hashes[n])
			continue
		}
		s.which[n] = uint8(i)
		n++
	}
	if n > 0 {
		w.mapped.LookupBurst(s.keys[:n], s.hashes[:n], s.found[:n])
		w.forward(bufs, n)
	}
	if s.egressed > 0 {
		w.count.add(EgressForwarded, s.egressed)
		s.egressed = 0
	}
	if len(w.local) > 0 {
		w.drainLocal()
	}
}

// forward is the last pass: client packets to their servers.
func (w *Worker) forward(bufs []packet.Buf, n int) {
	s := &w.burst
	tick, servers, limit := w.tick32(), w.view.servers, uint32(w.cfg.FabricMTU)+packet.EthernetSize
	lease := w.cfg.Lease
	forwarded := uint64(0)
	for i := range s.found[:n] {
		b := &bufs[s.which[i]]
		if s.found[i] == flow.NotFound {
			w.northSlow(b, &s.keys[i], s.hashes[i])
			continue
		}
		e := w.mapped.Entry(s.found[i])
		if e.Flags&flagReopening != 0 && w.ofReopening(b, &s.keys[i], s.hashes[i], e) {
			w.northSlow(b, &s.keys[i], s.hashes[i])
			continue
		}
		if lease != 0 && int32(tick-e.Renewed) > int32(lease) {
			w.northSlow(b, &s.keys[i], s.hashes[i]) // nobody vouches for it any more (S-42)
			continue
		}
		if int(e.Server) >= len(servers) || servers[e.Server] == nil || !servers[e.Server].usable && !w.usable(servers[e.Server], e) {
			w.cannotReach(b, &s.keys[i], e.Server)
			continue
		}
		if st := packet.Encapsulate(b, &servers[e.Server].target, entropyPort(s.hashes[i])); st != packet.OK {
			w.drop(b, dropOf(st))
			continue
		}
		if uint32(b.Len) > limit {
			w.drop(b, DropTooBig)
			continue
		}
		b.Port, b.Verdict = packet.South, packet.Send
		forwarded++
	}
	w.count.add(IngressForwarded, forwarded)
}

// flagReopening marks an ingress entry on whose tuple a new SYN was seen. Its
// initial sequence number is in Entry.Stamp; until an ACK proves the new
// incarnation, the mapping goes on serving the old one (S-15).
const flagReopening = flow.FlagCallerLow

// ofReopening reports whether a packet may belong to the new incarnation: the
// ACK that proves it, and, while its mapping is asked for, what follows in its
// window.
func (w *Worker) ofReopening(b *packet.Buf, k *flow.Key, hash uint64, e *flow.Entry) bool {
	var in packet.Info
	if packet.Parse(b.Bytes(), &in) != packet.OK || in.TCPFlags&packet.ACK == 0 {
		return false
	}
	ahead := in.Seq - (e.Stamp + 1)
	if ahead == 0 || ahead > proofWindow {
		return ahead == 0
	}
	_, asked := w.pending.Lookup(k, hash)
	return asked
}

// south handles what comes from the fabric: packets of servers and control
// datagrams.
func (w *Worker) south(b *packet.Buf) {
	frame := b.Bytes()
	if b.Port == packet.Inside {
		w.inside(b)
		return
	}
	const udp = packet.EthernetSize + packet.IPv4Size
	if len(frame) < udp+packet.UDPSize {
		w.count.add(DropMalformed, 1)
		return
	}
	switch port := binary.BigEndian.Uint16(frame[udp+2:]); port {
	case wire.PortData:
		w.egress(b)
	case wire.PortTracker, wire.PortPing:
		var in packet.Info
		if st := packet.Parse(frame, &in); st != packet.OK {
			w.count.add(dropOf(st), 1)
			return
		}
		if port == wire.PortPing {
			w.ping(b, &in)
			return
		}
		if in.Proto != packet.ProtoUDP || in.IsV6 || in.DstPort != wire.PortTracker || in.Dst != w.view.selfSouth {
			w.count.add(DropNotForUs, 1)
			return
		}
		w.receive(frame[in.Payload:in.End], [4]byte(in.Src[12:]))
	default:
		w.count.add(DropWrongPort, 1)
	}
}

// dropOf is the counter of a parser's verdict.
func dropOf(st packet.Status) Counter {
	switch st {
	case packet.BadChecksum:
		return DropBadChecksum
	case packet.Fragment:
		return DropFragment
	case packet.Unsupported:
		return DropUnsupported
	case packet.NotTunnel:
		return DropEncapsulation
	case packet.NoRoom:
		return DropNoRoom
	default:
		return DropMalformed
	}
}
