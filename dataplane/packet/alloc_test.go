package packet

import (
	"testing"

	"weir/dataplane/flow"
)

func TestNothingOnAPacketsWayAllocates(t *testing.T) {
	tunnel := target(t)
	for _, f := range families {
		data := frame{f.client, f.vip, 6, tcp(PSH|ACK, "\x01\x01\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x02", "hello"), 0}.bytes()
		b := frameBuf(data)
		out := make([]byte, 256)
		payload := []byte("payload")
		for _, c := range []struct {
			what string
			do   func()
		}{
			{"parse", func() { var in Info; Parse(data, &in); VerifyTCP(data, &in) }},
			{"flow", func() { var k flow.Key; FlowOf(data, &k); ReverseFlowOf(data, &k); TunnelFlowOf(data, &k) }},
			{"options", func() {
				var in Info
				var o TCPOptions
				Parse(data, &in)
				ParseTCPOptions(in.Options(data), &o)
			}},
			{"tunnel", func() { Encapsulate(&b, &tunnel, 1); Decapsulate(&b) }},
			{"control datagram", func() { c := b; PrependUDP(&c, &tunnel, 1, 2) }},
			{"build TCP", func() {
				BuildTCP(out, &TCPSpec{IPSpec: IPSpec{Src: addrOf(data), Dst: addrOf(data)}, Payload: payload,
					Options: &TCPOptions{MSS: 1432, Timestamps: true, SACKPermitted: true, WScale: 7}})
			}},
			{"build UDP", func() { BuildUDP(out, &UDPSpec{IPSpec: IPSpec{Src: addrOf(data)}, Payload: payload}) }},
			{"build RST", func() { var in Info; Parse(data, &in); BuildRST(out, &in, macA, macB) }},
		} {
			if n := testing.AllocsPerRun(100, c.do); n != 0 {
				t.Errorf("%s over %s: %v allocations", c.what, f.name, n)
			}
		}
	}
}

// addrOf is the source address of a sound frame.
func addrOf(b []byte) [16]byte {
	var in Info
	Parse(b, &in)
	return in.Src
}
