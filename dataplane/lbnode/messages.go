package lbnode

import (
	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// toNode sends a tracker message to a node. To this node it is a hop inside
// the worker (S-11): the flow's worker is the same in every role.
func (w *Worker) toNode(number uint16, m *wire.Tracker) {
	if number == w.cfg.Self {
		m.Header.Role, m.Header.Sender, m.Header.Epoch = wire.RoleNode, w.cfg.Self, w.cfg.Epoch
		w.local = append(w.local, *m)
		return
	}
	n := w.view.node(number)
	if n == nil {
		w.count.add(DropStaleMessage, 1)
		return
	}
	w.transmit(n.MAC, &n.target, &n.keys, m)
}

// toServer sends a tracker message to a module.
func (w *Worker) toServer(number uint16, m *wire.Tracker) {
	s := w.view.server(number)
	if s == nil {
		w.count.add(DropStaleMessage, 1)
		return
	}
	w.transmit(s.MAC, &s.target, &s.keys, m)
}

func (w *Worker) transmit(mac MAC, target *packet.EncapTarget, keys *pairKeys, m *wire.Tracker) {
	if mac == (MAC{}) {
		w.count.add(DropNoNextHop, 1)
		return
	}
	b, ok := w.io.Alloc()
	if !ok {
		w.count.add(DropNoBuffer, 1)
		return
	}
	w.seq++
	m.Header = wire.Header{Type: m.Type, Worker: uint8(w.index), Role: wire.RoleNode, Sender: w.cfg.Self,
		Boot: w.view.self.Boot, Seq: w.seq, Epoch: w.cfg.Epoch, KeyID: keys.seal.ID}
	b.Resize(wire.TrackerSize)
	wire.PutTracker(b.Bytes(), m, keys.seal.Key)
	if packet.PrependUDP(&b, target, entropyPort(w.hash(&m.Key)), wire.PortTracker) != packet.OK {
		w.count.add(DropNoRoom, 1)
		w.io.Free(b)
		return
	}
	b.Port = packet.South
	w.messages.sent(m.Type)
	w.io.Send(b)
}

// entropyPort is the outer source port of a flow: the fabric's hashes and the
// receiver's RSS see one path per flow, not one for all. It lies in the dynamic
// range (RFC 6335).
func entropyPort(hash uint64) uint16 { return 0xc000 | uint16(hash>>40)&0x3fff }

// receive handles a tracker datagram from the fabric; the frame is freed by
// the driver in any case.
func (w *Worker) receive(payload []byte, src [4]byte) {
	var m wire.Tracker
	if wire.ReadHeader(payload, &m.Header) != nil || wire.DecodeTracker(payload, &m) != nil {
		w.count.add(DropBadMessage, 1)
		return
	}
	keys, boot := w.view.sender(&m.Header, src)
	if keys == nil {
		w.count.add(DropStranger, 1)
		return
	}
	if k, ok := wire.FindKey(keys.open, m.KeyID); !ok || wire.Verify(payload, k) != nil {
		w.count.add(DropBadTag, 1)
		return
	}
	if !w.sessions[m.Role].fresh(&m.Header, boot) {
		w.count.add(DropReplayed, 1)
		return
	}
	w.messages.received(m.Type)
	w.dispatch(&m)
}

// dispatch hands a message to its role. A module can only say what modules say.
func (w *Worker) dispatch(m *wire.Tracker) {
	if m.Role == wire.RoleServer {
		switch m.Type {
		case wire.MsgAccept:
			w.onAccept(m)
		case wire.MsgReject:
			w.onReject(m)
		case wire.MsgNotHere:
			w.onNotHere(m)
		default:
			w.count.add(DropBadMessage, 1)
		}
		return
	}
	switch m.Type {
	case wire.MsgSyn:
		w.onSyn(m)
	case wire.MsgSynStore:
		w.onSynStore(m)
	case wire.MsgSynBusy:
		w.onSynBusy(m)
	case wire.MsgQuery:
		w.onQuery(m)
	case wire.MsgChoice:
		w.onChoice(m)
	case wire.MsgRejected:
		w.onRejected(m)
	case wire.MsgMapped:
		w.onMapped(m)
	case wire.MsgMappedAck:
		w.onMappedAck(m)
	case wire.MsgSuperseded:
		w.onSuperseded(m)
	case wire.MsgMapping:
		w.onMapping(m)
	case wire.MsgUnknown:
		w.onUnknown(m)
	case wire.MsgRefused:
		w.onRefused(m)
	case wire.MsgGone:
		w.onGone(m)
	case wire.MsgSync:
		w.onSync(m)
	case wire.MsgSyncAck:
		w.onSyncAck(m)
	default:
		w.count.add(DropBadMessage, 1)
	}
}

// drainLocal handles the hops that stay inside this worker, in order.
func (w *Worker) drainLocal() {
	for i := 0; i < len(w.local); i++ { // a message may append others
		m := w.local[i]
		w.dispatch(&m)
	}
	w.local = w.local[:0]
}

func (w *Worker) hash(k *flow.Key) uint64 { return flow.Hash(k, w.seed) }
