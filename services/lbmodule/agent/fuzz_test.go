package agent

import (
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
