package lbnode

import (
	"testing"

	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// FuzzFrame gives one frame of any content to every stage that sees frames
// from outside.
func FuzzFrame(f *testing.F) {
	var t testing.T
	c := newCluster(&t, 2, 1, nil)
	c.filter = func(*frame) int { return 0 }
	k := testKey(40000, true)
	b := c.newBuf()
	b.Resize(1600)
	o := clientOptions
	b.Resize(uint16(packet.BuildTCP(b.Bytes(), &packet.TCPSpec{IPSpec: packet.IPSpec{Src: k.Client, Dst: k.VIP}, SrcPort: k.ClientPort,
		DstPort: k.VIPPort, Flags: packet.SYN, Options: &o})))
	f.Add(b.Bytes(), false)
	server := c.fromServer(0, c.nodes[0].cfg.Servers[0].Address, k, "hello")
	f.Add(server.Bytes(), true)
	for kind := range uint8(20) {
		d := make([]byte, wire.TrackerSize)
		m := wire.Tracker{Header: wire.Header{Type: kind, Sender: 1, Seq: uint64(kind) + 1, KeyID: 1}, Key: k}
		wire.PutTracker(d, &m, c.messageKey(&m.Header))
		f.Add(append(append([]byte(nil), server.Bytes()[:36]...), append([]byte{0x17, 0xc1, 0, 136, 0, 0}, d...)...), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, south bool) {
		if len(data) > 1700 {
			return
		}
		b := c.newBuf()
		b.Resize(uint16(len(data)))
		copy(b.Bytes(), data)
		if south {
			b.Port = packet.South
		}
		NewSteering(c.nodes[0].cfg, 3).Steer(&b)
		slow := NewSlow(nil, 0)
		slow.SetConfig(c.nodes[0].cfg)
		slow.Burst(c.now, []packet.Buf{b})
		one := []packet.Buf{b}
		c.nodes[0].w.Burst(c.now, one)
		if v := one[0].Verdict; v == packet.Send && (one[0].Len < 60-6 || one[0].Port >= packet.NumPorts) {
			t.Errorf("sends %d bytes on port %d", one[0].Len, one[0].Port)
		}
		c.now += 1e6
		c.nodes[0].w.Tick(c.now)
	})
}
