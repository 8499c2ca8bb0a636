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

	"weir/dataplane/flow"
	"weir/dataplane/wire"
	"weir/services/lbmodule/agent"
	"weir/services/lbmodule/bpf"
)

// output is the core's way out.
type output struct {
	log     *slog.Logger
	control *net.UDPConn // UDP 6081
	lists   *net.UDPConn // UDP 6084
	packet  *packetSocket
	data    *bpf.Data
	failed  atomic.Uint64
}

// Send sends a datagram. What is lost is repeated by the protocol.
func (o *output) Send(from uint16, to netip.AddrPort, d []byte) {
	c := o.control
	if from == wire.PortPing {
		c = o.lists
	}
	if _, err := c.WriteToUDPAddrPort(d, to); err != nil {
		o.failed.Add(1)
	}
}

// Route has the data path follow the nodes.
func (o *output) Route(nodes []agent.Node, slots []agent.Slot) {
	for _, n := range nodes {
		o.log.Info("replies and an LB node", "node", n.Number, "carries", n.Egress)
	}
	if err := o.data.Route(nodes, slots); err != nil {
		o.log.Error("the data path does not follow the list of healthy LB nodes", "error", err)
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
	messages chan datagram
	frames   chan frame
	strays   chan agent.Stray
	ended    chan flow.Key // whose sockets the kernel destroyed
	calls    chan func()   // run by the loop, for status and draining
}

func newLoop(log *slog.Logger) *loop {
	return &loop{log: log, messages: make(chan datagram, queued), frames: make(chan frame, queued),
		strays: make(chan agent.Stray, queued), ended: make(chan flow.Key, 16*queued), calls: make(chan func())}
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
			l.core.Datagram(monotonic(), m.from, m.d)
		case f := <-l.frames:
			l.core.Frame(monotonic(), f.b[:f.n])
		case s := <-l.strays:
			l.core.Stray(monotonic(), &s)
		case k := <-l.ended:
			l.core.Destroyed(&k)
			continue
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
