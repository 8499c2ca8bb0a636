package bpf

import (
	"bytes"
	"encoding/binary"
	"testing"

	"weir/dataplane/packet"
	"weir/services/lbmodule/agent"
)

// icmp is an ICMP message between the flow's ends that quotes the IP packet of
// a frame.
func icmp(family string, toServer bool, typ uint8, quoted []byte) []byte {
	from, to := clients[family][0].Addr(), clients[family][1].Addr()
	if !toServer {
		from, to = to, from
	}
	var quote []byte
	if quoted != nil {
		quote = quoted[packet.EthernetSize:]
	}
	m := append([]byte{typ, 1, 0, 0, 0, 0, 0, 0}, quote...)
	head := 14 + 20
	if family == "IPv6" {
		head = 14 + 40
	}
	b := make([]byte, head+len(m))
	copy(b[head:], m)
	sum := uint64(0)
	if family == "IPv4" {
		packet.PutEthernet(b, [6]byte{}, [6]byte{}, packet.EtherTypeIPv4)
		packet.PutIPv4(b[14:], from.As4(), to.As4(), packet.ProtoICMP, 64, 0, uint16(20+len(m)))
	} else {
		packet.PutEthernet(b, [6]byte{}, [6]byte{}, packet.EtherTypeIPv6)
		packet.PutIPv6(b[14:], from.As16(), to.As16(), packet.ProtoICMPv6, 64, 0, uint16(len(m)))
		sum = packet.Add(packet.Add(0, b[22:54]), []byte{0, packet.ProtoICMPv6, uint8(len(m) >> 8), uint8(len(m))})
	}
	binary.BigEndian.PutUint16(b[head+2:], ^packet.Fold(packet.Add(sum, b[head:])))
	return b
}

// quote is the packet quoted in an ICMP message, as a frame.
func quote(t *testing.T, frame []byte) []byte {
	t.Helper()
	in, _ := parse(t, frame)
	return append(bytes.Clone(frame[:14]), frame[in.Payload:in.End]...)
}

func TestHeadersQuotedInICMPErrorsAreTranslatedBack(t *testing.T) {
	unreachable := map[string]uint8{"IPv4": 3, "IPv6": 1}
	for family := range clients {
		for _, cut := range []int{0, 8, 12, 16, 20, 24, 30} { // bytes of TCP that are quoted; 0: all
			h := shared(t)
			h.put(family, flowOf(nil))
			options := join(nop, timestamps(kernelTS+9, 77))
			shorten := func(f []byte) []byte {
				if cut == 0 {
					return f
				}
				var in packet.Info
				packet.Parse(f, &in)
				return f[:int(in.L4)+cut]
			}
			// In: a router complains about what the server sent, as the client's side knows it.
			sent := segment{seq: serverISN + 100, ack: clientISN + 7, flags: packet.ACK, window: 9,
				options: join(nop, timestamps(kernelTS+tsDelta+9, 77)), payload: []byte("abc")}
			verdict, out, err := h.Ingress(tunnel(node, icmp(family, true, unreachable[family], shorten(fromServer(family, sent)))))
			if err != nil || verdict != Redirect {
				t.Fatalf("%s, %d quoted: verdict %d, %v, %v", family, cut, verdict, err, h.Counters())
			}
			kernels := sent
			kernels.seq, kernels.options = kernelISN+100, options
			want := shorten(fromServer(family, kernels))
			if got := quote(t, out); !equalQuote(got, want, cut) {
				t.Errorf("%s in, %d quoted:\n got % x\nwant % x", family, cut, got[14:], want[14:])
			}
			// Out: the kernel complains about what the client sent, as the kernel saw it.
			kernels = segment{seq: clientISN + 7, ack: kernelISN + 100, flags: packet.ACK, window: 9,
				options: join(nop, timestamps(77, kernelTS+9)), payload: []byte("abc")}
			verdict, out, err = h.Egress(icmp(family, false, unreachable[family], shorten(fromClient(family, kernels))))
			if err != nil || verdict != Redirect {
				t.Fatalf("%s, %d quoted: verdict %d, %v, %v", family, cut, verdict, err, h.Counters())
			}
			clientSaw := kernels
			clientSaw.ack, clientSaw.options = serverISN+100, join(nop, timestamps(77, kernelTS+tsDelta+9))
			want = shorten(fromClient(family, clientSaw))
			if got := quote(t, inner(t, out)); !equalQuote(got, want, cut) {
				t.Errorf("%s out, %d quoted:\n got % x\nwant % x", family, cut, got[14:], want[14:])
			}
		}
	}
}

// equalQuote compares quotes. Where only a part of the header is quoted, its
// checksum, if it is there, can only be corrected by that part.
func equalQuote(got, want []byte, cut int) bool {
	if len(got) != len(want) {
		return false
	}
	g, w := bytes.Clone(got), bytes.Clone(want)
	if cut >= 16 {
		at := len(g) - cut + 16
		for i := at; i < min(at+2, len(g)); i++ {
			g[i], w[i] = 0, 0
		}
	}
	if cut > 20 { // a timestamp may be cut through
		end := len(g) - cut + 20
		g, w = g[:end], w[:end]
	}
	return bytes.Equal(g, w)
}

func TestICMPErrorsAboutOthersAreDropped(t *testing.T) {
	h := shared(t)
	k := key("IPv4")
	h.Flows().Delete(&k)
	verdict, _, err := h.Ingress(tunnel(node, icmp("IPv4", true, 3, fromServer("IPv4", segment{}))))
	if err != nil || verdict != Drop {
		t.Errorf("verdict %d, %v", verdict, err)
	}
	verdict, _, err = h.Egress(icmp("IPv4", false, 3, fromClient("IPv4", segment{})))
	if err != nil || verdict != Pass {
		t.Errorf("from the kernel: verdict %d, %v", verdict, err)
	}
	h.put("IPv4", flowOf(func(f *agent.Flow) { f.State = agent.Pending }))
	if verdict, _, err = h.Egress(icmp("IPv4", false, 3, fromClient("IPv4", segment{}))); err != nil || verdict != Pass {
		t.Errorf("before the commit: verdict %d, %v", verdict, err)
	}
}
