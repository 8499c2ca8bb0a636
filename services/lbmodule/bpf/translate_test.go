package bpf

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"weir/dataplane/packet"
	"weir/services/lbmodule/agent"
)

var nop = []byte{1}

func TestInboundTranslation(t *testing.T) {
	ours, theirs := serverISN+1000, kernelISN+1000 // the same byte of the server
	h := newHarness(t)
	for name, tc := range map[string]struct {
		in      segment
		ack     uint32
		options []byte
		change  func(*agent.Flow)
	}{
		"data": {
			in:  segment{seq: clientISN + 1, ack: ours, flags: packet.ACK | packet.PSH, payload: []byte("GET /")},
			ack: theirs,
		},
		"odd payload": {
			in:  segment{seq: clientISN + 1, ack: ours, flags: packet.ACK, payload: []byte("odd")},
			ack: theirs,
		},
		"timestamps": {
			in:      segment{ack: ours, flags: packet.ACK, options: join(nop, nop, timestamps(7, kernelTS+tsDelta+5))},
			ack:     theirs,
			options: join(nop, nop, timestamps(7, kernelTS+5)),
		},
		"timestamps at an odd offset": {
			in:      segment{ack: ours, flags: packet.ACK, options: join(nop, timestamps(7, kernelTS+tsDelta+5))},
			ack:     theirs,
			options: join(nop, timestamps(7, kernelTS+5)),
		},
		"selective acknowledgement of three blocks after timestamps": {
			in: segment{ack: ours, flags: packet.ACK, options: join(nop, nop, timestamps(7, kernelTS+tsDelta),
				nop, nop, sack(ours+10, ours+20, ours+30, ours+40, ours+50, ours+60))},
			ack:     theirs,
			options: join(nop, nop, timestamps(7, kernelTS), nop, nop, sack(theirs+10, theirs+20, theirs+30, theirs+40, theirs+50, theirs+60)),
		},
		"four blocks at an odd offset": {
			in: segment{ack: ours, flags: packet.ACK, options: join(nop,
				sack(ours+10, ours+20, ours+30, ours+40, ours+50, ours+60, ours+70, ours+80), nop, nop, nop)},
			ack:     theirs,
			options: join(nop, sack(theirs+10, theirs+20, theirs+30, theirs+40, theirs+50, theirs+60, theirs+70, theirs+80), nop, nop, nop),
		},
		"duplicate selective acknowledgement": { // RFC 2883: the first block lies below the acknowledgement
			in:      segment{ack: ours, flags: packet.ACK, options: join(nop, nop, sack(ours-500, ours-400))},
			ack:     theirs,
			options: join(nop, nop, sack(theirs-500, theirs-400)),
		},
		"reset with acknowledgement": {
			in: segment{seq: clientISN + 9, ack: ours, flags: packet.RST | packet.ACK}, ack: theirs,
		},
		"reset without acknowledgement": {
			in: segment{seq: clientISN + 9, flags: packet.RST}, ack: 0,
		},
		"keepalive": {
			in: segment{seq: clientISN, ack: ours, flags: packet.ACK}, ack: theirs,
		},
		"an echo before the kernel spoke becomes none": {
			in:      segment{ack: serverISN + 1, flags: packet.ACK, options: join(nop, nop, timestamps(7, kernelTS+tsDelta+77))},
			ack:     kernelISN + 1,
			options: join(nop, nop, timestamps(7, 0)),
			change:  func(f *agent.Flow) { f.Flags = 0 },
		},
		"options that are broken off": {
			in:      segment{ack: ours, flags: packet.ACK, options: []byte{1, 1, 8, 40}},
			ack:     theirs,
			options: []byte{1, 1, 8, 40},
		},
		"an option of length 0": {
			in:      segment{ack: ours, flags: packet.ACK, options: []byte{5, 0, 8, 10}},
			ack:     theirs,
			options: []byte{5, 0, 8, 10},
		},
		"forty bytes of padding": {
			in:      segment{ack: ours, flags: packet.ACK, options: bytes.Repeat(nop, 40)},
			ack:     theirs,
			options: bytes.Repeat(nop, 40),
		},
		"an unknown option before timestamps": {
			in:      segment{ack: ours, flags: packet.ACK, options: join([]byte{77, 5, 1, 2, 3}, timestamps(7, kernelTS+tsDelta))},
			ack:     theirs,
			options: join([]byte{77, 5, 1, 2, 3}, timestamps(7, kernelTS)),
		},
	} {
		for family := range clients {
			t.Run(name+" "+family, func(t *testing.T) {
				h.t = t
				h.put(family, flowOf(tc.change))
				verdict, out, err := h.Ingress(tunnel(node, fromClient(family, tc.in)))
				if err != nil || verdict != Redirect {
					t.Fatalf("verdict %d, %v; %v", verdict, err, h.Counters())
				}
				in, options := parse(t, out)
				if in.Seq != tc.in.seq || in.Ack != tc.ack || in.TCPFlags != tc.in.flags {
					t.Errorf("seq %#x ack %#x flags %#x, want %#x %#x %#x", in.Seq, in.Ack, in.TCPFlags, tc.in.seq, tc.ack, tc.in.flags)
				}
				if !bytes.Equal(options, tc.options) {
					t.Errorf("options % x\nwant    % x", options, tc.options)
				}
				if !bytes.Equal(out[in.Payload:in.End], tc.in.payload) {
					t.Errorf("payload changed: %q", out[in.Payload:in.End])
				}
				if f := h.get(family); f.Ingress != 1 {
					t.Errorf("last ingress node is %d", f.Ingress)
				}
			})
		}
	}
}

func TestOutboundTranslation(t *testing.T) {
	ours, theirs := serverISN+1000, kernelISN+1000
	h := newHarness(t)
	for name, tc := range map[string]struct {
		in      segment
		seq     uint32
		window  uint16
		options []byte
		shift   int8
	}{
		"data":                           {in: segment{seq: theirs, ack: clientISN + 5, flags: packet.ACK, window: 500, payload: []byte("HTTP/1.1 200")}, seq: ours, window: 500},
		"reset":                          {in: segment{seq: theirs, flags: packet.RST}, seq: ours},
		"keepalive":                      {in: segment{seq: theirs - 1, ack: clientISN + 5, flags: packet.ACK, window: 500}, seq: ours - 1, window: 500},
		"window of a larger scale grows": {in: segment{seq: theirs, flags: packet.ACK, window: 63}, seq: ours, window: 504, shift: 3},
		"and is capped":                  {in: segment{seq: theirs, flags: packet.ACK, window: 60000}, seq: ours, window: 65535, shift: 3},
		"window of a smaller scale":      {in: segment{seq: theirs, flags: packet.ACK, window: 4096}, seq: ours, window: 128, shift: -5},
		"never shrinks to zero":          {in: segment{seq: theirs, flags: packet.ACK, window: 31}, seq: ours, window: 1, shift: -5},
		"but a closed window stays":      {in: segment{seq: theirs, flags: packet.ACK}, seq: ours, shift: -5},
		"timestamps and client's blocks": {
			in:      segment{seq: theirs, flags: packet.ACK, options: join(nop, nop, timestamps(kernelTS+9, 7), nop, nop, sack(clientISN+10, clientISN+20))},
			seq:     ours,
			options: join(nop, nop, timestamps(kernelTS+9+tsDelta, 7), nop, nop, sack(clientISN+10, clientISN+20)),
		},
		"timestamps at an odd offset": {
			in:      segment{seq: theirs, flags: packet.ACK, options: join(nop, timestamps(kernelTS+9, 7))},
			seq:     ours,
			options: join(nop, timestamps(kernelTS+9+tsDelta, 7)),
		},
	} {
		for family := range clients {
			t.Run(name+" "+family, func(t *testing.T) {
				h.t = t
				h.put(family, flowOf(func(f *agent.Flow) { f.WindowShift = tc.shift }))
				verdict, out, err := h.Egress(fromServer(family, tc.in))
				if err != nil || verdict != Redirect {
					t.Fatalf("verdict %d, %v; %v", verdict, err, h.Counters())
				}
				var outer packet.Info
				if st := packet.Parse(out, &outer); st != packet.OK || outer.SrcPort != 50000 || outer.TOS != 0x28 ||
					outer.Src != server.As16() || outer.Dst != node.As16() || out[outer.L4+6] != 0 || out[outer.L4+7] != 0 {
					t.Fatalf("outer headers: %s %+v", st, outer)
				}
				frame := inner(t, out)
				in, options := parse(t, frame)
				if in.Seq != tc.seq || in.Ack != tc.in.ack || in.Window != tc.window {
					t.Errorf("seq %#x ack %#x window %d, want %#x %#x %d", in.Seq, in.Ack, in.Window, tc.seq, tc.in.ack, tc.window)
				}
				if !bytes.Equal(options, tc.options) {
					t.Errorf("options % x\nwant    % x", options, tc.options)
				}
				if !bytes.Equal(frame[in.Payload:in.End], tc.in.payload) {
					t.Errorf("payload changed: %q", frame[in.Payload:in.End])
				}
			})
		}
	}
}

func TestBothWaysTogetherChangeNothingForTheClient(t *testing.T) {
	h := newHarness(t)
	for family := range clients {
		h.put(family, flowOf(nil))
		for n := range 40 {
			options := join(bytes.Repeat(nop, n%4), timestamps(uint32(n)*99991, uint32(n)*77777))
			s := segment{seq: clientISN + uint32(n)*1000003, ack: serverISN + uint32(n)*999983, flags: packet.ACK,
				options: options, payload: bytes.Repeat([]byte{uint8(n)}, n*31)}
			_, out, err := h.Ingress(tunnel(node, fromClient(family, s)))
			if err != nil {
				t.Fatal(err)
			}
			in, _ := parse(t, out)
			answer := segment{seq: in.Ack, ack: in.Seq, flags: packet.ACK, options: options, payload: s.payload}
			_, out, err = h.Egress(fromServer(family, answer))
			if err != nil {
				t.Fatal(err)
			}
			back, _ := parse(t, inner(t, out))
			if back.Seq != s.ack || back.Ack != s.seq {
				t.Errorf("%s %d: the client acknowledged %#x and sees %#x", family, n, s.ack, back.Seq)
			}
		}
	}
}

func TestWhatHappenedToAFlowIsInItsFlags(t *testing.T) {
	h := newHarness(t)
	for family := range clients {
		h.put(family, flowOf(func(f *agent.Flow) { f.Flags = 0 }))
		steps := []struct {
			inbound bool
			flags   uint8
			want    uint32
		}{
			{true, packet.ACK, agent.FlagHeard},
			{false, packet.ACK, agent.FlagHeard | agent.FlagSpoken},
			{true, packet.ACK | packet.FIN, agent.FlagHeard | agent.FlagSpoken | agent.FlagClientFIN},
			{false, packet.ACK | packet.FIN, agent.FlagHeard | agent.FlagSpoken | agent.FlagClientFIN | agent.FlagServerFIN},
			{false, packet.RST, agent.FlagHeard | agent.FlagSpoken | agent.FlagClientFIN | agent.FlagServerFIN | agent.FlagReset},
		}
		for i, s := range steps {
			if err := h.SetClock(int64(i+1) * 1e9); err != nil {
				t.Fatal(err)
			}
			var err error
			if s.inbound {
				_, _, err = h.Ingress(tunnel(node, fromClient(family, segment{ack: 1, flags: s.flags})))
			} else {
				_, _, err = h.Egress(fromServer(family, segment{flags: s.flags}))
			}
			f := h.get(family)
			if err != nil || f.Flags != s.want || f.LastSeen != int64(i+1)*1e9 {
				t.Errorf("%s step %d: flags %#x seen %d, %v; want %#x", family, i, f.Flags, f.LastSeen, err, s.want)
			}
		}
	}
}

func TestEgressFollowsTheHealthOfTheNodes(t *testing.T) {
	h := newHarness(t)
	h.put("IPv4", flowOf(nil))
	to := func() string {
		v, out, err := h.Egress(fromServer("IPv4", segment{flags: packet.ACK}))
		if err != nil {
			t.Fatal(err)
		}
		if v != Redirect {
			return fmt.Sprint("verdict ", v)
		}
		var in packet.Info
		packet.Parse(out, &in)
		switch in.Dst {
		case node.As16():
			return "node"
		case second.As16():
			return "second"
		}
		return "elsewhere"
	}
	route := func(nodes []agent.Node) error {
		var slots []agent.Slot
		for i, a := range agent.EgressSlots(nodes) {
			slots = append(slots, agent.Slot{Index: i, Address: a})
		}
		return h.Route(nodes, slots)
	}
	whole := func(nodes []agent.Node) error { return h.Configure(nodes, nil) }
	for name, tell := range map[string]func([]agent.Node) error{"a configuration": whole, "a list of nodes": route} {
		for _, tc := range []struct {
			first, second bool
			want          string
		}{{true, true, "node"}, {false, true, "second"}, {true, true, "node"}, {false, false, "verdict 2"}} {
			nodes := []agent.Node{{Number: 1, Address: node, Egress: tc.first}, {Number: 2, Address: second, Egress: tc.second}}
			if err := tell(nodes); err != nil {
				t.Fatal(err)
			}
			if got := to(); got != tc.want {
				t.Errorf("%s: healthy %v %v: sent to %s, want %s", name, tc.first, tc.second, got, tc.want)
			}
		}
	}
	if h.Counters()["drop_no_egress"] != 2 {
		t.Error("a drop without egress node is not counted")
	}
}

// S-75: the most that a change of the nodes can cost the data path.
func BenchmarkRouteOfEverySlot(b *testing.B) {
	d, err := Load(&Settings{Server: server, MaxFlows: 64}, "")
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	var nodes []agent.Node
	for i := range 1000 {
		nodes = append(nodes, agent.Node{Number: uint16(i + 1), Address: netip.AddrFrom4([4]byte{10, 20, byte(i >> 8), byte(i)}), Egress: true})
	}
	var slots []agent.Slot
	for i, a := range agent.EgressSlots(nodes) {
		slots = append(slots, agent.Slot{Index: i, Address: a})
	}
	for b.Loop() {
		if err := d.Route(nodes, slots); err != nil {
			b.Fatal(err)
		}
	}
}
