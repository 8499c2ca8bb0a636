package agent

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// FuzzFrames gives a core in the middle of a handshake whatever a kernel, or
// who got hold of weir1, may send. Nothing but a whole SYN/ACK makes an accept.
func FuzzFrames(f *testing.F) {
	var b [128]byte
	for _, o := range []*packet.TCPOptions{nil, {MSS: 1432, WScale: 9, SACKPermitted: true, Timestamps: true, TSval: 100, TSecr: 70}} {
		for _, flags := range []uint8{packet.SYN | packet.ACK, packet.ACK, packet.RST | packet.ACK, packet.FIN} {
			n := packet.BuildTCP(b[:], &packet.TCPSpec{
				IPSpec: packet.IPSpec{Src: tuple.VIP, Dst: tuple.Client}, SrcPort: tuple.VIPPort, DstPort: tuple.ClientPort,
				Seq: 300, Ack: 1001, Flags: flags, Window: 65535, Options: o,
			})
			f.Add(append([]byte{}, b[:n]...))
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		r := newRig(t)
		r.message(wire.MsgOffer, offer())
		r.core.Frame(r.now, frame)
		for _, s := range r.sent {
			if s.m.Type != wire.MsgAccept {
				continue
			}
			var in packet.Info
			fl := r.flows[tuple]
			if packet.Parse(frame, &in) != packet.OK || in.Ack != 1001 || fl.KernelISN() != in.Seq {
				t.Errorf("accepted for % x", frame)
			}
		}
		if len(r.sent) > 1 {
			t.Errorf("%d answers to one frame", len(r.sent))
		}
		r.tick(r.now + 20e9)
		if len(r.core.handshakes) != 0 || len(r.core.due) != 0 {
			t.Error("the handshake never ends")
		}
	})
}

// FuzzNodeLists gives a core any node list that an insider may seal, with and
// without the right nonce. Whatever it says, replies have a way while the list
// leaves one.
func FuzzNodeLists(f *testing.F) {
	seed := make([]byte, 200)
	l := wire.NodeList{Parts: 1, Version: 3, Nodes: []wire.ListedNode{listed(1, listHealthy), listed(2, 0), listed(9, 1)}}
	f.Add(seed[wire.HeaderSize:wire.PutNodeList(seed, &l, wire.Key{})], true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, body []byte, asked bool) {
		r := newRig(t)
		if len(body) > 1432 {
			return
		}
		d := append(make([]byte, wire.HeaderSize), body...)
		if asked && len(body) >= 8 {
			a := r.push(wire.NodeList{Header: wire.Header{Sender: 1}})
			binary.BigEndian.PutUint64(d[wire.HeaderSize:], a.Nonce)
		}
		wire.Seal(d, &wire.Header{Type: wire.MsgNodeList, Role: wire.RoleNode, Sender: 1, KeyID: 3}, r.core.cfg.Keys[0].Key)
		for range 2 {
			r.core.Datagram(r.now, netip.AddrPortFrom(lb1, 7777), bytes.Clone(d))
		}
		r.tick(r.now + 5e9)
		if !slices.Equal(r.core.slots, EgressSlots(r.core.Nodes())) {
			t.Error("the slots are not those of the nodes")
		}
	})
}
