package labtest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"weir/qemu/capture"
	"weir/qemu/topology"
)

// Offsets in a recorded frame: Ethernet, IPv4 without options, UDP.
const (
	frameIP      = 14
	frameUDP     = frameIP + 20
	framePayload = frameUDP + 8
)

// recorded records control datagrams on the fabric for a time.
func recorded(t *testing.T, d time.Duration) [][]byte {
	t.Helper()
	c, err := capture.StartWhole(topology.FabricName, "south", "ip and udp and dst portrange 6081-6085", filepath.Join(scratch(t), "control.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(d)
	file, err := c.Stop()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[uint16]int{}
	var frames [][]byte
	for _, p := range file.Packets {
		if len(p.Data) > framePayload && p.Data[frameIP] == 0x45 {
			frames = append(frames, p.Data)
			kinds[binary.BigEndian.Uint16(p.Data[frameUDP+2:])]++
		}
	}
	t.Logf("recorded by destination port: %v", kinds)
	for _, port := range []uint16{6081, 6082, 6083, 6084, 6085} {
		if kinds[port] == 0 {
			t.Fatalf("there was no datagram to port %d to record", port)
		}
	}
	return frames
}

// refit makes a frame with a changed payload whole again: lengths, and the
// checksums that a receiver looks at before the tag.
func refit(frame []byte) []byte {
	ip := frame[frameIP:]
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	binary.BigEndian.PutUint16(ip[10:], 0)
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum))
	binary.BigEndian.PutUint16(frame[frameUDP+4:], uint16(len(frame)-frameUDP))
	binary.BigEndian.PutUint16(frame[frameUDP+6:], 0) // no checksum
	return frame
}

// Who is on the fabric without a key may record what passes, and send it again
// as it was or changed, in the names of all: nothing comes of it (S-113).
func TestAStrangerOnTheFabricChangesNothing(t *testing.T) {
	h := hold(t, 3*time.Second)
	frames := recorded(t, 3*time.Second)
	sender, path := stranger(t)
	random := rand.New(rand.NewPCG(11, 0))
	forge := func(change func(frame []byte) []byte) func() error {
		return func() error {
			_, err := sender.Run(h.ctx, len(frames), 5000, func(i int, room []byte) int {
				frame := room[:copy(room, frames[i])]
				copy(frame[6:12], path.From) // the switch knows whose the others are
				return len(change(frame))
			})
			return err
		}
	}
	again := func(frame []byte) []byte { return frame }
	before := totalDrops(t)
	h.step(fmt.Sprintf("%d datagrams sent again", len(frames)), forge(again), h.Whole())
	h.step("with bits flipped", forge(func(frame []byte) []byte {
		at := framePayload + random.IntN(len(frame)-framePayload)
		frame[at] ^= 1 << random.IntN(8)
		return refit(frame)
	}), h.Whole())
	h.step("truncated", forge(func(frame []byte) []byte {
		return refit(frame[:framePayload+random.IntN(len(frame)-framePayload)])
	}), h.Whole())
	h.step("with another key", forge(func(frame []byte) []byte {
		const tag = 32 // of 8 bytes, the last of the header
		for i := range 8 {
			if at := framePayload + tag + i; at < len(frame) {
				frame[at] = byte(random.Uint32())
			}
		}
		return refit(frame)
	}), h.Whole())
	after := totalDrops(t)
	for _, n := range theLab.Top.Nodes {
		t.Logf("%s counted %d", n.ID, after[n.ID]-before[n.ID])
		if after[n.ID] == before[n.ID] {
			t.Errorf("%s counted none of the forged datagrams", n.ID)
		}
	}
	n := theLab.Top.Nodes[1]
	h.step("kill -9 "+n.ID, killed(n), h.Withdrawn(n), h.Whole(n.ID))
	h.step("sent again while it is dead", forge(again), h.Whole(n.ID))
	h.step(n.ID+" returns", restarted(n), h.Whole())
	h.step("sent again in its next life", forge(again), h.Whole())
}
