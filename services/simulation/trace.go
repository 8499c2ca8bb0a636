package simulation

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"

	"weir/services/capture"
)

// Trace is the record of every frame that was put on a bus or taken from it.
// It always keeps a digest, which tells whether two runs were the same run; a
// capture file is written only when asked for.
type Trace struct {
	digest hash.Hash
	frames uint64
	pcap   *capture.Writer
}

func newTrace() *Trace { return &Trace{digest: sha256.New()} }

// Capture makes the trace write a pcapng capture of every frame as it is put
// on a bus, one capture interface per bus (S-94). It must be called before the
// run begins.
func (t *Trace) Capture(w io.Writer) { t.pcap = capture.NewWriter(w) }

// Err is the first error of writing the capture.
func (t *Trace) Err() error {
	if t.pcap == nil {
		return nil
	}
	return t.pcap.Err()
}

// Frames is how many observations were recorded.
func (t *Trace) Frames() uint64 { return t.frames }

// Sum identifies the run: equal sums, equal runs to the byte.
func (t *Trace) Sum() string { return hex.EncodeToString(t.digest.Sum(nil)) }

// Points of observation.
const (
	sent     = 's' // put on the bus by its sender, before any stage
	received = 'r' // handed to a component, after all stages
)

func (t *Trace) record(now int64, point byte, where string, frame []byte) {
	var head [13]byte
	binary.BigEndian.PutUint64(head[:], uint64(now))
	binary.BigEndian.PutUint32(head[8:], uint32(len(frame)))
	head[12] = point
	t.digest.Write(head[:])
	io.WriteString(t.digest, where)
	t.digest.Write(frame)
	t.frames++
}

func (t *Trace) show(now int64, bus string, frame []byte) {
	if t.pcap != nil {
		t.pcap.Packet(now, bus, capture.Unknown, len(frame), frame)
	}
}
