package main

import (
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
)

// arpFrame asks who has 10.10.0.1.
var arpFrame = append([]byte{255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 8, 6},
	0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 10, 10, 0, 11, 0, 0, 0, 0, 0, 0, 10, 10, 0, 1)

// Capture sends the same frame for ever; of port 9 it says that another capture runs.
func (f *fakeNode) Capture(r *api.CaptureRequest, s grpc.ServerStreamingServer[api.CapturedFrames]) error {
	if r.Number == 9 {
		return status.Error(codes.FailedPrecondition, "another capture runs; end it first")
	}
	for {
		m := &api.CapturedFrames{Lost: 3, Frames: []*api.CapturedFrame{{Nanoseconds: 1e18, Length: 42, Data: arpFrame}, {Nanoseconds: 1e18 + 1e3, Sent: true, Length: 42, Data: arpFrame[:14]}}}
		if err := s.Send(m); err != nil {
			return err
		}
	}
}

func TestCaptureFromANode(t *testing.T) {
	fakeLab(t)
	got := ctl("--lab", "capture", "lb2", "north", "--count", "2", "--host", "10.10.0.1")
	for _, want := range []string{"01:46:40.000000 in  ARP who has 10.10.0.1? tell 10.10.0.11\n", "01:46:40.000001 out ", "2 packets, ", "; 3 more were too fast", "exit 0"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	got = ctl("--lab", "capture", "lb2", "south", "-c", "3", "-w", "south.pcapng")
	if b, err := os.ReadFile("south.pcapng"); err != nil || strings.Count(string(b), string(arpFrame)) != 2 || strings.Contains(got, "ARP") {
		t.Errorf("%v, %d bytes\n%s", err, len(b), got)
	}
	if got = ctl("--lab", "capture", "lb2", "south", "-c", "1", "-w", "-"); !strings.Contains(got, string(arpFrame)) {
		t.Errorf("nothing on standard output: %s", got)
	}
	for _, c := range []struct{ line, want string }{
		{"--lab capture lb2", "takes 2 arguments: NODE SIDE"}, {"--lab capture lb2 east", `"east" is no side`}, {"--lab capture lb9 north", `no node "lb9"`},
		{"--lab capture lb2 north --host x", `"x" is not an address`}, {"--lab capture lb2 north --port 70000", "invalid argument"},
		{"--lab capture lb2 north -w /nowhere/x", "make the capture file"}, {"--lab capture lb2 north --port 9", "another capture runs"},
	} {
		if got := ctl(strings.Fields(c.line)...); !strings.Contains(got, c.want) || strings.Contains(got, "exit 0") {
			t.Errorf("want %q:\n%s", c.want, got)
		}
	}
}
