package labtest

import (
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"weir/qemu/capture"
)

// PAWS (RFC 7323) rejects a segment of an established connection when its
// timestamp was translated wrongly. It also, rightly, rejects what comes
// milliseconds after its successors: veth pairs reorder the packets of a sender
// whose thread moves between processors. So a server may reject no more
// segments than arrived behind a younger one by the client's own clock.
func TestAServerRejectsNoTimestampThatCameInOrder(t *testing.T) {
	farClient(t)
	everyServerListens(t, func(_ string, conn net.Conn) { io.Copy(io.Discard, conn) })
	dir := scratch(t)
	captures, before := map[string]*capture.Capture{}, map[string]int{}
	for _, s := range theLab.Top.Servers {
		c, err := capture.Start(s.Namespace, "eth0", "udp dst port 6080 and dst host "+s.Address.Addr().String(), filepath.Join(dir, s.ID+".pcap"))
		if err != nil {
			t.Fatal(err)
		}
		captures[s.ID] = c
		if before[s.ID], err = netstat(s.Namespace, "TcpExt", "PAWSEstab"); err != nil {
			t.Fatal(err)
		}
	}
	ctx := within(t, 2*time.Minute)
	if _, err := farTransfer(ctx, web4(), 8<<20); err != nil {
		t.Error(err)
	}
	if _, err := farUpload(ctx, test4(), 8<<20); err != nil {
		t.Error(err)
	}
	segments := 0
	for _, s := range theLab.Top.Servers {
		after, err := netstat(s.Namespace, "TcpExt", "PAWSEstab")
		if err != nil {
			t.Fatal(err)
		}
		file, err := captures[s.ID].Stop()
		if err != nil {
			t.Fatal(err)
		}
		all, late := lateTimestamps(file)
		segments += all
		if rejected := after - before[s.ID]; rejected > late {
			t.Errorf("%s rejected %d segments by their timestamp, and %d came late (see %s)", s.ID, rejected, late, dir)
		}
	}
	t.Logf("%d segments with timestamps", segments)
	if segments == 0 {
		t.Error("no timestamp was seen at all: the option is lost on the way")
	}
}

// lateTimestamps counts the tunnelled segments with a timestamp, and those of
// them that came after a younger one of their connection.
func lateTimestamps(file *capture.File) (all, late int) {
	newest := map[[2]uint16]uint32{}
	for _, p := range file.Packets {
		tcp, _ := segment(innerPacket(file.LinkType, p.Data))
		if tcp == nil {
			continue
		}
		o := header.ParseTCPOptions(tcp.Options())
		if !o.TS {
			continue
		}
		all++
		connection := [2]uint16{tcp.SourcePort(), tcp.DestinationPort()}
		last, known := newest[connection]
		if known && int32(o.TSVal-last) < 0 {
			late++
			continue
		}
		newest[connection] = o.TSVal
	}
	return all, late
}

// The count itself must be able to be wrong.
func TestASegmentThatComesBehindAYoungerOneIsFound(t *testing.T) {
	tunnel := func(port uint16, tsval uint32) capture.Packet {
		b := make([]byte, 28+40+12)
		b[0], b[9] = 0x45, 17
		binary.BigEndian.PutUint16(b[22:], 6080)
		ip := b[28:]
		ip[0], ip[9] = 0x45, 6
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
		header.TCP(ip[20:]).Encode(&header.TCPFields{SrcPort: port, DstPort: 80, Flags: header.TCPFlagAck, DataOffset: 32})
		copy(ip[40:], []byte{1, 1, 8, 10})
		binary.BigEndian.PutUint32(ip[44:], tsval)
		return capture.Packet{Data: b}
	}
	all, late := lateTimestamps(&capture.File{LinkType: linkRaw, Packets: []capture.Packet{
		tunnel(5000, 100), tunnel(5000, 100), tunnel(6000, 7), tunnel(5000, 102), tunnel(5000, 101), tunnel(6000, 8), tunnel(5000, 102),
	}})
	if all != 7 || late != 1 {
		t.Errorf("%d segments, %d late", all, late)
	}
}
