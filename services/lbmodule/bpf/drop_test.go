package bpf

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"weir/dataplane/packet"
	"weir/services/lbmodule/agent"
)

// TestEverythingElseIsDroppedAndCounted gives the fabric's program what it must
// not pass on. "pass" means that it is none of the module's business.
func TestEverythingElseIsDroppedAndCounted(t *testing.T) {
	data := segment{seq: clientISN + 1, ack: serverISN + 1, flags: packet.ACK, payload: []byte("x")}
	good := func() []byte { return tunnel(node, fromClient("IPv4", data)) }
	good6 := func() []byte { return tunnel(node, fromClient("IPv6", data)) }
	edit := func(b []byte, at int, v ...byte) []byte { copy(b[at:], v); return b }
	other := func(from, to string) []byte {
		return tunnel(node, build(netip.MustParseAddrPort(from), netip.MustParseAddrPort(to), data))
	}
	plain := func(family string) []byte { return fromClient(family, data) }
	for name, tc := range map[string]struct {
		frame []byte
		count string
	}{
		"a stranger's tunnel":                {tunnel(netip.MustParseAddr("10.20.0.99"), fromClient("IPv4", data)), "drop_stranger"},
		"another server's address":           {edit(good(), 33, 102), ""},
		"another port":                       {edit(good(), 36, 1, 2), ""},
		"outer options":                      {edit(good(), 14, 0x46), ""},
		"outer fragment":                     {edit(good(), 20, 0x20), "drop_fragment"},
		"outer length beyond the frame":      {edit(edit(good(), 16, 4, 0), 38, 3, 0xec), "drop_malformed"},
		"UDP length apart from IP's":         {edit(good(), 38, 0, 30), "drop_malformed"},
		"outer checksum":                     {edit(good(), 40, 0x12, 0x34), "drop_checksum"},
		"nothing inside":                     {edit(edit(good(), 16, 0, 28), 38, 0, 8)[:42], "drop_malformed"},
		"GUE of variant 0":                   {edit(good(), 42, 0x00), "drop_malformed"},
		"inner version 7":                    {edit(good(), 42, 0x75), "drop_malformed"},
		"inner header of 16 bytes":           {edit(good(), 42, 0x44), "drop_malformed"},
		"inner length shorter":               {edit(good(), 44, 0, 40), "drop_malformed"},
		"inner length longer":                {edit(good(), 44, 1, 40), "drop_malformed"},
		"inner fragment":                     {edit(good(), 48, 0x20), "drop_fragment"},
		"inner later fragment":               {edit(good(), 49, 9), "drop_fragment"},
		"inner UDP":                          {edit(good(), 51, 17), "drop_protocol"},
		"inner IPv6 length":                  {edit(good6(), 46, 0, 7), "drop_malformed"},
		"inner IPv6 with hop-by-hop":         {edit(good6(), 48, 0), "drop_protocol"},
		"inner IPv6 fragment":                {edit(good6(), 48, 44), "drop_protocol"},
		"TCP header of 16 bytes":             {edit(good(), 74, 0x40), "drop_malformed"},
		"TCP header beyond the packet":       {edit(good(), 74, 0xf0), "drop_malformed"},
		"a SYN":                              {tunnel(node, fromClient("IPv4", segment{flags: packet.SYN})), "drop_syn"},
		"an unknown flow":                    {other("198.51.100.11:1", "203.0.113.10:80"), "drop_not_here"},
		"an unknown flow, IPv6":              {other("[2001:db8:51::11]:1", "[2001:db8:100::10]:80"), "drop_not_here"},
		"no endpoint's port":                 {other("198.51.100.10:40000", "203.0.113.10:82"), "drop_endpoint"},
		"no endpoint's address":              {other("198.51.100.10:40000", "203.0.113.11:80"), "drop_endpoint"},
		"the public address, plain":          {plain("IPv4"), "drop_plain"},
		"the public address, plain IPv6":     {plain("IPv6"), "drop_plain"},
		"a question for the public address":  {arp([4]byte{203, 0, 113, 10}), "drop_arp"},
		"a question for the server":          {arp(server.As4()), ""},
		"ARP that is cut off":                {arp([4]byte{203, 0, 113, 10})[:30], ""},
		"IPv4 that is cut off":               {good()[:20], ""},
		"IPv6 that is cut off":               {plain("IPv6")[:40], ""},
		"echo request to the public address": {tunnel(node, icmp("IPv4", true, 8, nil)), "drop_icmp"},
		"another EtherType":                  {edit(good(), 12, 0x88, 0xcc), ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := shared(t)
			h.put("IPv4", flowOf(nil))
			h.put("IPv6", flowOf(nil))
			before := h.Counters()
			verdict, _, err := h.Ingress(tc.frame)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]Verdict{true: Drop, false: Pass}[tc.count != ""]; verdict != want {
				t.Errorf("verdict %d, want %d", verdict, want)
			}
			for counter, n := range h.Counters() {
				want := before[counter]
				if counter == tc.count {
					want++
				}
				if n != want {
					t.Errorf("%s rose by %d", counter, n-before[counter])
				}
			}
		})
	}
}

// loaded is a data path that tests share when state does not matter to them.
var loaded *harness

func shared(t *testing.T) *harness {
	t.Helper()
	if loaded == nil {
		d, err := Load(&Settings{Server: server, MaxFlows: 64, VirtualClock: true}, "")
		if err != nil {
			t.Fatalf("%+v", err)
		}
		loaded = &harness{Data: d}
		loaded.t = t
		loaded.configure()
	}
	loaded.t = t
	return loaded
}

// arp is a question for an address.
func arp(target [4]byte) []byte {
	b := make([]byte, 42)
	packet.PutEthernet(b, [6]byte{255, 255, 255, 255, 255, 255}, [6]byte{2}, packet.EtherTypeARP)
	copy(b[14:], []byte{0, 1, 8, 0, 6, 4, 0, 1})
	copy(b[38:], target[:])
	return b
}

func TestStraysAreReportedWithinBounds(t *testing.T) {
	d, err := Load(&Settings{Server: server, MaxFlows: 64, VirtualClock: true, StraysPerSlice: 3}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	h := &harness{d, t}
	h.configure()
	r, err := d.Strays()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 10 {
		if _, _, err := h.Ingress(tunnel(node, fromClient("IPv6", segment{seq: 5, ack: 6, flags: packet.ACK}))); err != nil {
			t.Fatal(err)
		}
	}
	r.SetDeadline(time.Now().Add(time.Second))
	n := 0
	for ; ; n++ {
		rec, err := r.Read()
		if err != nil {
			break
		}
		k := key("IPv6")
		var want [40]byte
		k.Put(want[:])
		if b := rec.RawSample; !bytes.Equal(b[:40], want[:]) || !bytes.Equal(b[40:44], node.AsSlice()) ||
			binary.NativeEndian.Uint32(b[44:]) != 5 || binary.NativeEndian.Uint32(b[48:]) != 6 || b[52] != packet.ACK {
			t.Errorf("report is % x", b)
		}
		r.SetDeadline(time.Now().Add(50 * time.Millisecond))
	}
	// Runs may have been spread over CPUs, and the bound is per CPU.
	if limited := int(h.Counters()["strays_limited"]); n < 3 || n+limited != 10 || limited == 0 {
		t.Errorf("%d reports, %d limited, of 10 strays", n, limited)
	}
}

func TestAHandshakeIsCompletedOnce(t *testing.T) {
	for _, tc := range []struct {
		name    string
		segment segment
		passes  bool
		state   agent.State
		count   string
	}{
		{"the client's acknowledgement", segment{seq: clientISN + 1, ack: serverISN + 1, flags: packet.ACK}, true, agent.Established, ""},
		{"its first data", segment{seq: clientISN + 1, ack: serverISN + 1, flags: packet.ACK, payload: []byte("GET")}, true, agent.Established, ""},
		{"a wrong acknowledgement", segment{seq: clientISN + 1, ack: serverISN + 2, flags: packet.ACK}, false, agent.Pending, "drop_pending"},
		{"none", segment{seq: clientISN + 1, flags: packet.FIN}, false, agent.Pending, "drop_pending"},
		{"a reset", segment{seq: clientISN + 1, flags: packet.RST}, true, agent.Pending, ""},
	} {
		for family := range clients {
			h := shared(t)
			h.put(family, flowOf(func(f *agent.Flow) { f.State, f.Flags = agent.Pending, 0 }))
			before := h.Counters()[tc.count]
			verdict, _, err := h.Ingress(tunnel(node, fromClient(family, tc.segment)))
			if err != nil || (verdict == Redirect) != tc.passes {
				t.Errorf("%s, %s: verdict %d, %v", family, tc.name, verdict, err)
			}
			if s := h.get(family).State; s != tc.state {
				t.Errorf("%s, %s: state %d, want %d", family, tc.name, s, tc.state)
			}
			if tc.count != "" && h.Counters()[tc.count] != before+1 {
				t.Errorf("%s, %s: not counted", family, tc.name)
			}
			// Before and after: the agent's own last ACK passes only where no client's packet has.
			last := fromClient(family, segment{seq: clientISN + 1, ack: kernelISN + 1, flags: packet.ACK})
			for i, want := range []Verdict{map[agent.State]Verdict{agent.Pending: Pass, agent.Established: Drop}[tc.state], Drop} {
				if v, _, err := h.Inject(last, agent.Handshake); err != nil || v != want {
					t.Errorf("%s, %s: injection %d: verdict %d, %v, want %d", family, tc.name, i, v, err, want)
				}
			}
			if v, _, err := h.Inject(last, agent.Plain); err != nil || v != Pass {
				t.Errorf("%s, %s: plain injection: verdict %d, %v", family, tc.name, v, err)
			}
		}
	}
}

func TestWhatIsNotEstablishedGoesToTheAgent(t *testing.T) {
	for family := range clients {
		for name, tc := range map[string]struct {
			flow    *agent.Flow
			segment segment
		}{
			"no flow":             {nil, segment{flags: packet.RST}},
			"pending":             {flowOf(func(f *agent.Flow) { f.State = agent.Pending }), segment{flags: packet.ACK, payload: []byte("early")}},
			"a SYN/ACK, repeated": {flowOf(nil), segment{flags: packet.SYN | packet.ACK}},
			"a SYN of its own":    {nil, segment{flags: packet.SYN}},
		} {
			h := shared(t)
			k := key(family)
			h.Flows().Delete(&k)
			if tc.flow != nil {
				h.put(family, tc.flow)
			}
			in := fromServer(family, tc.segment)
			verdict, out, err := h.Egress(in)
			if err != nil || verdict != Pass || !bytes.Equal(in, out) {
				t.Errorf("%s, %s: verdict %d, %v, unchanged %v", family, name, verdict, err, bytes.Equal(in, out))
			}
		}
	}
}

// seeds are good tunnel packets of both families and kinds.
func seeds() [][]byte {
	return [][]byte{
		tunnel(node, fromClient("IPv4", segment{ack: serverISN, flags: packet.ACK, options: join(nop, nop, timestamps(1, 2), sack(1, 2, 3, 4)), payload: []byte("hello")})),
		tunnel(node, fromClient("IPv6", segment{ack: serverISN, flags: packet.ACK, options: join(nop, timestamps(1, 2)), payload: []byte("hello")})),
		tunnel(node, icmp("IPv4", true, 3, fromServer("IPv4", segment{seq: kernelISN}))),
		tunnel(node, icmp("IPv6", true, 1, fromServer("IPv6", segment{seq: kernelISN}))),
	}
}

// judge runs a packet, which nothing may make the program pass on broken.
func judge(t *testing.T, h *harness, b []byte) {
	verdict, out, err := h.Ingress(b)
	if err != nil {
		t.Fatalf("% x: %v", b, err)
	}
	if verdict != Redirect {
		return
	}
	var in packet.Info
	if st := packet.Parse(out, &in); st != packet.OK && st != packet.BadChecksum {
		t.Errorf("a broken packet passes (%s): % x became % x", st, b, out)
	}
}

func TestGarbageNeverGetsThrough(t *testing.T) {
	h := shared(t)
	h.put("IPv4", flowOf(nil))
	h.put("IPv6", flowOf(nil))
	rng := rand.New(rand.NewPCG(7, 8))
	good := seeds()
	for range 20000 {
		b := bytes.Clone(good[rng.IntN(len(good))])
		for range 1 + rng.IntN(4) {
			b[14+rng.IntN(len(b)-14)] = uint8(rng.Uint32())
		}
		judge(t, h, b[:max(14, rng.IntN(2*len(b))%(len(b)+1))])
	}
}

func FuzzTunnelPackets(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b[packet.EthernetSize:])
	}
	f.Fuzz(func(t *testing.T, ip []byte) {
		if len(ip) > 1500 {
			return
		}
		h := shared(t)
		h.put("IPv4", flowOf(nil))
		h.put("IPv6", flowOf(nil))
		judge(t, h, append([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0}, ip...))
	})
}
