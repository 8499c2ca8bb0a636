package main

import (
	"google.golang.org/grpc"

	"weir/services/api"
)

// Capture passes the dataplane's frames on.
func (f *front) Capture(r *api.CaptureRequest, to grpc.ServerStreamingServer[api.CapturedFrames]) error {
	n, err := f.serving()
	if err != nil {
		return err
	}
	from, err := n.link.client.Capture(to.Context(), r)
	if err != nil {
		return n.link.plain(err)
	}
	for {
		frames, err := from.Recv()
		if err != nil {
			return err // with the dataplane's code
		}
		if err := to.Send(frames); err != nil {
			return err
		}
	}
}
