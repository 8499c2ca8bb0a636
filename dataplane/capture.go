package main

import (
	"net/netip"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/dataplane/packet"
	"weir/services/api"
	"weir/services/capture"
)

const (
	defaultSnap = 256
	longestSnap = 2048
	// captureRing is how many frames wait for the caller: at 100 000 frames/s for 80 ms.
	captureRing = 8192
	// drainEvery is how often they are taken.
	drainEvery = 10 * time.Millisecond
	// captureBatch is how many go in one message.
	captureBatch = 128
)

// Capture copies frames to the caller. There is one capture at a time: more
// would cost the fast path more.
func (n *node) Capture(r *api.CaptureRequest, stream grpc.ServerStreamingServer[api.CapturedFrames]) error {
	t, err := newTap(r)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if !n.capturing.CompareAndSwap(false, true) {
		return status.Error(codes.FailedPrecondition, "another capture runs; end it first")
	}
	defer n.capturing.Store(false)
	n.engine.Watch(t)
	defer n.engine.Watch(nil)
	n.log.Info("capture begins", "port", r.Port)
	defer func() { n.log.Info("capture ends", "port", r.Port, "lost", t.lost.Load()) }()
	if err := stream.Send(&api.CapturedFrames{}); err != nil { // it has begun
		return err
	}
	tick := time.NewTicker(drainEvery)
	defer tick.Stop()
	told := uint64(0)
	for {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-tick.C:
		}
		for {
			m := &api.CapturedFrames{Frames: t.take(captureBatch), Lost: t.lost.Load()}
			if len(m.Frames) == 0 && m.Lost == told {
				break
			}
			told = m.Lost
			if err := stream.Send(m); err != nil {
				return err
			}
		}
	}
}

// newTap makes what a request asks for.
func newTap(r *api.CaptureRequest) (*tap, error) {
	side := slices.Index(sideNames[:], r.Port)
	if side < 0 {
		return nil, errNoSide
	}
	f := capture.Filter{Port: uint16(r.Number)}
	if len(r.Host) > 0 {
		a, ok := netip.AddrFromSlice(r.Host)
		if !ok {
			return nil, errNoAddress
		}
		f.Host = a
	}
	if r.Number > 65535 {
		return nil, errNoPort
	}
	snap := int(r.Snap)
	if snap == 0 {
		snap = defaultSnap
	}
	snap = min(snap, longestSnap)
	return &tap{side: packet.Port(side), filter: f, snap: snap, slots: make([]tapSlot, captureRing), data: make([]byte, captureRing*snap)}, nil
}
