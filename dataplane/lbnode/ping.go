package lbnode

import (
	"encoding/binary"
	"sync/atomic"

	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// Vital is what decides whether a node answers health pings, shared between
// its workers and who watches over them.
type Vital struct {
	Silent atomic.Bool   // a node that knows itself to be sick does not answer (S-52)
	Noded  atomic.Uint64 // boot id of the control plane, told in answers
}

// pingWorker is the worker that a ping names; ok is false for everything else.
// A ping crosses the same queues and cores as a client's packet (S-51).
func (s *Steering) pingWorker(frame []byte) (worker int, ok bool) {
	const ip, udp = packet.EthernetSize, packet.EthernetSize + packet.IPv4Size
	const payload = udp + packet.UDPSize
	if len(frame) < payload+wire.HeaderSize || binary.BigEndian.Uint16(frame[12:]) != packet.EtherTypeIPv4 ||
		frame[ip] != 0x45 || frame[ip+9] != packet.ProtoUDP || binary.BigEndian.Uint16(frame[ip+6:])&0x3fff != 0 ||
		binary.BigEndian.Uint16(frame[udp+2:]) != wire.PortPing || frame[payload+1] != wire.MsgPing {
		return 0, false
	}
	return int(uint64(frame[payload+4]) % max(s.workers, 1)), true
}

// ping answers a health check on the other side than it came from (S-51).
func (w *Worker) ping(b *packet.Buf, in *packet.Info) {
	b.Verdict = packet.Drop
	frame := b.Bytes()
	self := w.view.self
	if self == nil || in.IsV6 || in.DstPort != wire.PortPing ||
		in.Dst != self.North.As16() && in.Dst != self.South.As16() {
		w.count.add(DropNotForUs, 1)
		return
	}
	var p wire.Ping
	d := frame[in.Payload:in.End]
	if wire.ReadHeader(d, &p.Header) != nil || wire.GetPing(d, &p.Header, &p) != nil || p.Type != wire.MsgPing {
		w.count.add(DropBadMessage, 1)
		return
	}
	if k, ok := wire.FindKey(w.cfg.Secrets.Control, p.KeyID); !ok || wire.Verify(d, k) != nil {
		w.count.add(DropBadTag, 1)
		return
	}
	n := w.view.node(p.Sender)
	if p.Role != wire.RoleNode || n == nil || p.Node != w.cfg.Self ||
		in.Src != n.North.As16() && in.Src != n.South.As16() {
		w.count.add(DropStranger, 1)
		return
	}
	if w.cfg.Vital == nil || w.cfg.Vital.Silent.Load() {
		w.count.add(DropPingSilent, 1)
		return
	}
	w.answerPing(&p, n, b.Port)
}

func (w *Worker) answerPing(p *wire.Ping, n *nodeView, came packet.Port) {
	target := &n.target
	side := packet.South
	if came == packet.South {
		side = packet.North
		if len(w.cfg.Routers) == 0 {
			w.count.add(DropNoNextHop, 1)
			return
		}
		t, err := packet.NewEncapTarget(w.cfg.Routers[0], w.cfg.MACs[packet.North], n.North, w.view.self.North)
		if err != nil {
			w.count.add(DropNoNextHop, 1)
			return
		}
		target = &t
	} else if n.MAC == (MAC{}) {
		w.count.add(DropNoNextHop, 1)
		return
	}
	b, ok := w.io.Alloc()
	if !ok {
		w.count.add(DropNoBuffer, 1)
		return
	}
	key := &w.cfg.Secrets.Control[0]
	w.seq++
	p.Header = wire.Header{Type: wire.MsgPong, Worker: uint8(w.index), Role: wire.RoleNode, Sender: w.cfg.Self,
		Boot: w.cfg.Boot, Seq: w.seq, Epoch: w.cfg.Epoch, KeyID: key.ID}
	p.Noded = w.cfg.Vital.Noded.Load()
	b.Resize(wire.PingSize)
	wire.PutPing(b.Bytes(), p, key.Key)
	if packet.PrependUDP(&b, target, wire.PortPing, wire.PortPing) != packet.OK {
		w.count.add(DropNoRoom, 1)
		w.io.Free(b)
		return
	}
	b.Port = side
	w.count.add(PingsAnswered, 1)
	w.io.Send(b)
}
