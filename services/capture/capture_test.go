package capture

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/dataplane/packet"
)

// frame puts an Ethernet header before an IP packet.
func frame(kind uint16, rest []byte) []byte {
	b := make([]byte, packet.EthernetSize, packet.EthernetSize+len(rest))
	packet.PutEthernet(b, [6]byte{2, 0, 0, 0, 0, 1}, [6]byte{2, 0, 0, 0, 0, 2}, kind)
	return append(b, rest...)
}

func v4(src, dst string, proto uint8, payload []byte) []byte {
	b := make([]byte, packet.IPv4Size)
	packet.PutIPv4(b, netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4(), proto, 64, 0, uint16(packet.IPv4Size+len(payload)))
	return append(b, payload...)
}

func v6(src, dst string, proto uint8, payload []byte) []byte {
	b := make([]byte, packet.IPv6Size)
	packet.PutIPv6(b, netip.MustParseAddr(src).As16(), netip.MustParseAddr(dst).As16(), proto, 64, 0, uint16(len(payload)))
	return append(b, payload...)
}

func tcpSegment(src, dst uint16, flags byte, data int) []byte {
	b := make([]byte, packet.TCPSize+data)
	binary.BigEndian.PutUint16(b, src)
	binary.BigEndian.PutUint16(b[2:], dst)
	binary.BigEndian.PutUint32(b[4:], 1000)
	binary.BigEndian.PutUint32(b[8:], 2000)
	b[12], b[13] = 5<<4, flags
	binary.BigEndian.PutUint16(b[14:], 512)
	return b
}

func datagram(src, dst uint16, payload []byte) []byte {
	b := make([]byte, packet.UDPSize)
	binary.BigEndian.PutUint16(b, src)
	binary.BigEndian.PutUint16(b[2:], dst)
	binary.BigEndian.PutUint16(b[4:], uint16(packet.UDPSize+len(payload)))
	return append(b, payload...)
}

func arpRequest() []byte {
	b := make([]byte, packet.ARPSize)
	b[7] = 1
	copy(b[arpSender:], []byte{10, 10, 0, 11})
	copy(b[arpTarget:], []byte{10, 10, 0, 1})
	return b
}

var (
	bare     = frame(packet.EtherTypeIPv4, append(v4("198.51.100.10", "203.0.113.10", packet.ProtoTCP, tcpSegment(40000, 80, packet.SYN, 0)), make([]byte, 6)...)) // padded
	inside   = frame(packet.EtherTypeIPv4, v4("10.20.0.11", "10.20.0.101", packet.ProtoUDP, datagram(5555, guePort, v6("2001:db8::10", "2001:db8:100::10", packet.ProtoTCP, tcpSegment(40000, 80, packet.ACK|packet.PSH, 100)))))
	tracker  = frame(packet.EtherTypeIPv4, v4("10.20.0.11", "10.20.0.12", packet.ProtoUDP, datagram(6081, 6081, make([]byte, 60))))
	arpFrame = frame(packet.EtherTypeARP, arpRequest())
	tagged   = frame(vlanType, append([]byte{0, 7, 8, 0}, bare[packet.EthernetSize:]...))
	unreach  = frame(packet.EtherTypeIPv6, v6("2001:db8::1", "2001:db8::2", packet.ProtoICMPv6, append([]byte{2, 0, 0, 0}, make([]byte, 44)...)))
)

func TestLines(t *testing.T) {
	at := time.Date(2026, 11, 23, 15, 4, 5, 6000, time.UTC)
	fragment := v4("10.0.0.1", "10.0.0.2", packet.ProtoUDP, make([]byte, 30))
	fragment[7] = 9
	for want, f := range map[string][]byte{
		"198.51.100.10:40000 > 203.0.113.10:80 TCP SYN seq 1000 win 512, 0 bytes":                                                      bare,
		"10.20.0.11 > 10.20.0.101 GUE [[2001:db8::10]:40000 > [2001:db8:100::10]:80 TCP PSH,ACK seq 1000 ack 2000 win 512, 100 bytes]": inside,
		"10.20.0.11:6081 > 10.20.0.12:6081 tracker message, 60 bytes":                                                                  tracker,
		"ARP who has 10.10.0.1? tell 10.10.0.11":                                                                                       arpFrame,
		"2001:db8::1 > 2001:db8::2 ICMP packet too big, code 0, 48 bytes":                                                              unreach,
		"10.0.0.1 > 10.0.0.2 fragment, 30 bytes":                                                                                       frame(packet.EtherTypeIPv4, fragment),
		"02:00:00:00:00:02 > 02:00:00:00:00:01 ethertype 0x88cc, 20 bytes":                                                             frame(0x88cc, make([]byte, 6)),
	} {
		if got := Line(at, In, len(f), f); got != "15:04:05.000006 in  "+want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

func TestFiltersLookIntoEncapsulations(t *testing.T) {
	all := map[string][]byte{"bare": bare, "inside": inside, "tracker": tracker, "arp": arpFrame, "tagged": tagged}
	for text, want := range map[string]string{
		"": "arp bare inside tagged tracker", "host 203.0.113.10": "bare tagged", "host 10.20.0.11": "inside tracker", "host 2001:db8::10": "inside",
		"port 80": "bare inside tagged", "port 6081": "tracker", "host 10.20.0.11 port 80": "", "port 40000 host 2001:db8:100::10": "inside",
		"host 10.10.0.1": "arp", "host 10.99.0.1": "",
	} {
		f, err := ParseFilter(strings.Fields(text))
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range all {
			if got, chosen := f.Match(b), strings.Contains(" "+want+" ", " "+name+" "); got != chosen {
				t.Errorf("%q, %s: %v", text, name, got)
			}
		}
	}
	for _, bad := range []string{"host", "port 0", "port 65536", "host nonsense", "nonsense 1", "host ::ffff:10.0.0.1", "port 80 host"} {
		if _, err := ParseFilter(strings.Fields(bad)); err == nil {
			t.Errorf("%q is a filter", bad)
		}
	}
}

func TestFilteringAllocatesNothing(t *testing.T) {
	f, _ := ParseFilter([]string{"host", "2001:db8::77", "port", "80"})
	if n := testing.AllocsPerRun(1000, func() { f.Match(inside); f.Match(bare); f.Match(arpFrame) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzFrames must neither panic nor print what a terminal would act on.
func FuzzFrames(f *testing.F) {
	for _, b := range [][]byte{nil, bare, inside, tracker, arpFrame, tagged, unreach} {
		f.Add(b, uint16(80))
	}
	f.Fuzz(func(t *testing.T, b []byte, port uint16) {
		filter := Filter{Host: netip.AddrFrom4([4]byte{10, 0, 0, 1}), Port: port}
		filter.Match(b)
		for _, c := range []byte(Line(time.Unix(0, 0), Out, len(b), b)) {
			if c < ' ' || c > '~' {
				t.Fatalf("byte %#x in %q", c, Line(time.Unix(0, 0), Out, len(b), b))
			}
		}
	})
}

// TestCaptureFileIsLaidOutAsThePcapngDraftSays reads a file block by block.
func TestCaptureFileIsLaidOutAsThePcapngDraftSays(t *testing.T) {
	var file bytes.Buffer
	w := NewWriter(&file)
	w.Packet(1<<33+5, "north", In, 1500, bare)
	w.Packet(7, "south", Unknown, len(arpFrame), arpFrame)
	w.Packet(8, "north", Out, len(bare), bare)
	if w.Err() != nil || w.Size() != int64(file.Len()) {
		t.Fatalf("%v, %d bytes", w.Err(), w.Size())
	}
	b := file.Bytes()
	var kinds []uint32
	for len(b) > 0 {
		kind, total := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		if total%4 != 0 || int(total) > len(b) || binary.LittleEndian.Uint32(b[total-4:]) != total {
			t.Fatalf("a block of %d bytes of %d", total, len(b))
		}
		kinds = append(kinds, kind)
		if len(kinds) == 3 {
			body := b[8:]
			high, low := binary.LittleEndian.Uint32(body[4:]), binary.LittleEndian.Uint32(body[8:])
			kept, whole := binary.LittleEndian.Uint32(body[12:]), binary.LittleEndian.Uint32(body[16:])
			if high != 2 || low != 5 || int(kept) != len(bare) || whole != 1500 || !bytes.Equal(body[20:20+kept], bare) {
				t.Errorf("time %d:%d, %d of %d bytes", high, low, kept, whole)
			}
			flags := body[20+(kept+3)/4*4:]
			if binary.LittleEndian.Uint16(flags) != optionFlags || binary.LittleEndian.Uint32(flags[4:]) != uint32(In) {
				t.Errorf("options % x", flags[:12])
			}
		}
		b = b[total:]
	}
	want := []uint32{blockSection, blockInterface, blockPacket, blockInterface, blockPacket, blockPacket}
	if len(kinds) != len(want) {
		t.Fatalf("blocks %x, want %x", kinds, want)
	}
	for i := range want {
		if kinds[i] != want[i] {
			t.Errorf("block %d is %x, want %x", i, kinds[i], want[i])
		}
	}
}
