package capture

import (
	"fmt"
	"io"
	"time"

	"weir/services/api"
)

// Recorder puts what a capture delivers into a file, and shows a line of each
// frame, until there is enough.
type Recorder struct {
	Place  string       // of capture, in the file: "north"
	Frames int          // to record; 0: as many as fit
	Bytes  int64        // the file may have; 0: any number
	Show   func(string) // must not wait

	writer   *Writer
	recorded int
	lost     uint64
}

// Start begins the file.
func (r *Recorder) Start(w io.Writer) error {
	r.writer = NewWriter(w)
	return r.writer.Err()
}

// roomForFrame is what a frame takes at most in the file.
const roomForFrame = 4096

// Add records a frame; true: it is enough.
func (r *Recorder) Add(at time.Time, d Direction, length int, frame []byte) (enough bool, err error) {
	r.writer.Packet(at.UnixNano(), r.Place, d, length, frame)
	if err := r.writer.Err(); err != nil {
		return true, fmt.Errorf("write the capture: %w", err)
	}
	r.recorded++
	r.Show(Line(at, d, length, frame))
	return r.recorded == r.Frames || r.Bytes > 0 && r.writer.Size() > r.Bytes-roomForFrame, nil
}

// Take records what the dataplane sends.
func (r *Recorder) Take(m *api.CapturedFrames) (enough bool, err error) {
	r.lost = m.Lost
	for _, f := range m.Frames {
		d := In
		if f.Sent {
			d = Out
		}
		if enough, err := r.Add(time.Unix(0, int64(f.Nanoseconds)), d, int(f.Length), f.Data); enough || err != nil {
			return enough, err
		}
	}
	return false, nil
}

// Summary says in one line what was recorded.
func (r *Recorder) Summary() string {
	s := fmt.Sprintf("%d packets, %d bytes", r.recorded, r.writer.Size())
	if r.lost > 0 {
		s += fmt.Sprintf("; %d more were too fast and are missing", r.lost)
	}
	return s
}

// Request asks the dataplane for what a filter chooses.
func Request(side string, f Filter, snap uint32) *api.CaptureRequest {
	r := &api.CaptureRequest{Port: side, Snap: snap, Number: uint32(f.Port)}
	if f.Host.IsValid() {
		r.Host = f.Host.AsSlice()
	}
	return r
}
