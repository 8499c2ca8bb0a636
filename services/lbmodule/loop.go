package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"weir/dataplane/wire"
	"weir/services/lbmodule/agent"
	"weir/services/lbmodule/bpf"
)

// output is the core's way out.
type output struct {
	control *net.UDPConn
	packet  *packetSocket
	key     wire.Key
	buf     [wire.TrackerSize]byte
	failed  atomic.Uint64
}

// Send seals a message and sends it. What is lost is repeated by the protocol.
func (o *output) Send(to netip.Addr, m *wire.Tracker) {
	wire.PutTracker(o.buf[:], m, o.key)
	if _, err := o.control.WriteToUDPAddrPort(o.buf[:], netip.AddrPortFrom(to, wire.PortTracker)); err != nil {
		o.failed.Add(1)
	}
}

// Inject gives a frame to the kernel by way of weir1.
func (o *output) Inject(frame []byte, kind agent.InjectKind) {
	bpf.MarkInject(frame, kind)
	// ENOBUFS for the last ACK of a handshake says that the data path dropped
	// it, because a client's packet took its place.
	if err := o.packet.send(frame); err != nil && !(kind == agent.Handshake && errors.Is(err, unix.ENOBUFS)) {
		o.failed.Add(1)
	}
}

// monotonic is the clock of the eBPF programs, in ns.
func monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic("lbmodule: the monotonic clock cannot be read: " + err.Error())
	}
	return t.Nano()
}

// loop drives the core: the one goroutine that touches it.
type loop struct {
	log      *slog.Logger
	core     *agent.Core
	sampler  *sampler
	messages chan message
	frames   chan frame
	strays   chan agent.Stray
	calls    chan func() // run by the loop, for status and draining
}

func newLoop(log *slog.Logger) *loop {
	return &loop{log: log, messages: make(chan message, queued), frames: make(chan frame, queued),
		strays: make(chan agent.Stray, queued), calls: make(chan func())}
}

// run works until ctx ends.
func (l *loop) run(ctx context.Context) {
	sample := time.NewTicker(l.sampler.interval)
	defer sample.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-l.messages:
			l.core.Message(monotonic(), m.from, &m.m)
		case f := <-l.frames:
			l.core.Frame(monotonic(), f.b[:f.n])
		case s := <-l.strays:
			l.core.Stray(monotonic(), &s)
		case f := <-l.calls:
			f()
			continue
		case <-sample.C:
			l.sampler.sample(monotonic(), l.core.Established())
			continue
		case <-timer.C:
		}
		now := monotonic()
		timer.Reset(time.Duration(max(l.core.Tick(now)-now, 0)))
	}
}

// call runs f on the loop and waits for it; false when the loop has ended.
func (l *loop) call(ctx context.Context, f func()) bool {
	done := make(chan struct{})
	select {
	case l.calls <- func() { f(); close(done) }:
		<-done
		return true
	case <-ctx.Done():
		return false
	}
}
