package main

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/qemu/netns"
	"weir/qemu/netns/nstest"
	"weir/services/api"
	"weir/services/capture"
)

func TestCapturesShowBothDirectionsOneAtATime(t *testing.T) {
	cable(t)
	p := launch(t, t.TempDir())
	for range 2 { // the second one may begin when the first has ended
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		stream, err := p.client.Capture(ctx, &api.CaptureRequest{Port: "north", Host: netip.MustParseAddr("10.80.0.2").AsSlice(), Number: 1})
		nstest.Must(t, err)
		_, err = stream.Recv() // it has begun
		if status.Code(err) == codes.FailedPrecondition {
			cancel()
			nstest.Eventually(t, "the first capture has ended", func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				stream, err = p.client.Capture(ctx, &api.CaptureRequest{Port: "north", Number: 1})
				nstest.Must(t, err)
				_, err := stream.Recv()
				t.Cleanup(cancel)
				return err == nil
			})
		} else {
			nstest.Must(t, err)
			second, err := p.client.Capture(ctx, &api.CaptureRequest{Port: "south"})
			nstest.Must(t, err)
			if _, err := second.Recv(); status.Code(err) != codes.FailedPrecondition {
				t.Errorf("a second capture: %v", err)
			}
		}
		nstest.Must(t, netns.Do(nstest.Away, func() error {
			if c, err := net.DialTimeout("tcp", "10.80.0.1:1", 10*time.Second); err == nil {
				c.Close()
			}
			return nil
		}))
		in, out := 0, 0
		for in == 0 || out == 0 {
			m, err := stream.Recv()
			nstest.Must(t, err)
			for _, f := range m.Frames {
				t.Log(capture.Line(time.Unix(0, int64(f.Nanoseconds)), capture.In, int(f.Length), f.Data))
				if f.Sent {
					out++
				} else {
					in++
				}
			}
		}
		cancel()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	bad, err := p.client.Capture(ctx, &api.CaptureRequest{Port: "nonsense"})
	nstest.Must(t, err)
	if _, err := bad.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("of a port that is none: %v", err)
	}
}
