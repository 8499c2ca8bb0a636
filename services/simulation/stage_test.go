package simulation

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

// through sends n frames, each numbered in its bytes behind the Ethernet
// header, one microsecond apart, over a bus whose sender has the stages.
func through(t *testing.T, n int, stages ...Stage) (arrived [][]byte, at []time.Duration) {
	t.Helper()
	sim := New(1)
	bus := sim.NewBus("bus", 10*time.Microsecond)
	from := bus.Attach("from", accessMAC(1), func([]byte) { t.Error("a frame came back to its sender") })
	bus.Attach("to", accessMAC(2), func(frame []byte) {
		arrived, at = append(arrived, frame[ethernetSize:]), append(at, sim.Elapsed())
	})
	bus.Attach("other", accessMAC(3), func([]byte) { t.Error("a frame reached a stranger") })
	from.Out = stages
	for i := range n {
		sim.After(time.Duration(i)*time.Microsecond, func() { from.Send(ethernet(accessMAC(2), accessMAC(1), []byte{byte(i >> 8), byte(i)})) })
	}
	end := false
	sim.After(time.Second, func() { end = true })
	if err := sim.Run(2*time.Second, func() bool { return end }); err != nil {
		t.Fatal(err)
	}
	return arrived, at
}

func number(b []byte) int { return int(b[0])<<8 | int(b[1]) }

func luck() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func TestWithoutStagesEveryFrameArrivesOnceInOrderAfterTheLatency(t *testing.T) {
	arrived, at := through(t, 100)
	if len(arrived) != 100 {
		t.Fatalf("%d frames arrived, want 100", len(arrived))
	}
	for i := range arrived {
		if number(arrived[i]) != i || at[i] != time.Duration(10+i)*time.Microsecond {
			t.Errorf("frame %d arrived in place %d at %v", number(arrived[i]), i, at[i])
		}
	}
}

func TestStagesDoWhatTheySay(t *testing.T) {
	const n = 10_000
	if got, _ := through(t, n, DropStage(luck(), 0.1)); len(got) < 8800 || len(got) > 9200 {
		t.Errorf("of %d frames %d are left after a loss of a tenth", n, len(got))
	}
	if got, _ := through(t, n, DuplicateStage(luck(), 0.1, time.Millisecond)); len(got) < 10800 || len(got) > 11200 {
		t.Errorf("%d frames became %d when a tenth was doubled", n, len(got))
	}
	got, at := through(t, n, ReorderStage(luck(), 0.1, 100*time.Microsecond))
	late := 0
	for i := range got {
		if number(got[i]) < i && at[i] > time.Duration(10+number(got[i]))*time.Microsecond {
			late++
		}
	}
	if len(got) != n || late < 800 || late > 1200 {
		t.Errorf("of %d frames %d arrived, %d of them late, when a tenth was delayed", n, len(got), late)
	}
	_, at = through(t, n, DelayStage(luck(), 50*time.Microsecond, 50*time.Microsecond))
	if at[0] != 60*time.Microsecond {
		t.Errorf("delayed by 50 µs on a bus of 10 µs, the first frame arrived at %v", at[0])
	}
	got, _ = through(t, n, CorruptStage(luck(), 1))
	for i := range got {
		if number(got[i]) == i {
			t.Errorf("frame %d was not corrupted", i)
		}
	}
	seen := 0
	got, _ = through(t, 3, RewriteStage(func(frame []byte) []byte { frame[ethernetSize] = 7; return frame }), RecordStage(func([]byte) { seen++ }))
	if seen != 3 || got[2][0] != 7 || got[2][1] != 2 {
		t.Errorf("rewritten to %x, recorded %d times", got, seen)
	}
}

func TestACaptureHoldsEveryFrameOnce(t *testing.T) {
	sim := New(1)
	var file bytes.Buffer
	sim.Trace.Capture(&file)
	bus := sim.NewBus("bus", time.Microsecond)
	port := bus.Attach("a", accessMAC(1), func([]byte) {})
	for range 3 {
		port.Send(ethernet(accessMAC(2), accessMAC(1), []byte("abcde")))
	}
	// Section 28, interface 20 + name 8 + resolution 8 + end 4, and per frame 32 + 20.
	if err := sim.Trace.Err(); err != nil || file.Len() != 28+40+3*52 || bytes.Count(file.Bytes(), []byte("abcde")) != 3 {
		t.Errorf("capture of %d bytes, error %v: %x", file.Len(), err, file.Bytes())
	}
}
