package simulation

import (
	"encoding/binary"
	"fmt"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// newClient begins a flow from its client's end.
func newClient(h *Host, f *Flow) *conn {
	q := new(waiter.Queue)
	ep, err := h.stack.NewEndpoint(tcp.ProtocolNumber, protocolOf(f.VIP.Addr()), q)
	if err != nil {
		f.fail(fmt.Errorf("new socket: %v", err))
		return nil
	}
	c := newConn(h, f, ep, q)
	c.step = c.client
	ep.SocketOptions().SetReuseAddress(true)
	if err := ep.Bind(fullAddr(f.Client)); err != nil {
		c.fail("bind", err)
		return c
	}
	if err := ep.Connect(fullAddr(f.VIP)); err != nil {
		if _, started := err.(*tcpip.ErrConnectStarted); !started {
			c.fail("connect", err)
		}
	}
	return c
}

// client is the application at the client's end.
func (c *conn) client() {
	f := c.flow
	switch tcp.EndpointState(c.ep.State()) {
	case tcp.StateConnecting, tcp.StateSynSent, tcp.StateSynRecv:
		return
	}
	if err := c.ep.LastError(); err != nil {
		c.fail(c.host.Name+": connect", err)
		return
	}
	if !c.receive(c.checkDown) {
		return
	}
	if f.ServerFirst && c.read < greetingSize {
		if c.eof {
			c.close()
			f.fail(fmt.Errorf("closed by the server after %d bytes", c.read))
		}
		return
	}
	limit := f.Up
	if f.Idle > 0 && !c.resumed {
		limit = f.Up / 2
	}
	if !c.write(limit, f.up().read) {
		return
	}
	if limit < f.Up {
		c.pause()
		return
	}
	got := c.read == greetingSize+f.Down
	if got && !f.ServerEnds {
		c.end()
	}
	if !c.eof {
		return
	}
	if !got {
		c.close()
		f.fail(fmt.Errorf("closed by the server after %d of %d bytes", c.read, greetingSize+f.Down))
		return
	}
	c.close()
	if !f.ServerShuts { // else its last bytes may be on their way
		f.finish()
	}
}

// pause lets the plan's idle time pass, once.
func (c *conn) pause() {
	if c.pausing {
		return
	}
	c.pausing = true
	c.host.sim.After(c.flow.Idle, func() {
		c.resumed = true
		c.notice()
		c.host.rest()
	})
}

// checkDown verifies what the client got: a greeting that names the server,
// then that server's stream.
func (c *conn) checkDown(b []byte, i int) {
	f := c.flow
	if i == 0 {
		if len(b) < greetingSize || binary.BigEndian.Uint32(b) != greetingMark {
			f.load.sim.Violate("%v: the client got no greeting but %x", f, b)
			return
		}
		f.bind(int(binary.BigEndian.Uint32(b[4:])))
		if id := binary.BigEndian.Uint64(b[8:]); id != uint64(f.ID) {
			f.load.sim.Violate("%v got the greeting of flow %d", f, id)
		}
		b, i = b[greetingSize:], greetingSize
	}
	if i+len(b) > greetingSize+f.Down {
		f.load.sim.Violate("%v: the client got more than was sent", f)
	}
	if j := f.down(f.Server).mismatch(b, i-greetingSize); j >= 0 {
		f.load.sim.Violate("%v: byte %d towards the client is wrong", f, i-greetingSize+j)
	}
}

// listener accepts a server's connections.
type listener struct {
	host   *Host
	load   *Workload
	number int
	ep     tcpip.Endpoint
	queue  waiter.Queue
}

// Serve makes host a server of the workload on the given port, for both
// address families. Number is what its greetings say.
func (w *Workload) Serve(host *Host, number int, port uint16) error {
	l := &listener{host: host, load: w, number: number}
	ep, err := host.stack.NewEndpoint(tcp.ProtocolNumber, ipv6.ProtocolNumber, &l.queue)
	if err != nil {
		return fmt.Errorf("host %s: new socket: %v", host.Name, err)
	}
	l.ep = ep
	if err := ep.Bind(tcpip.FullAddress{Port: port}); err != nil {
		return fmt.Errorf("host %s: bind port %d: %v", host.Name, port, err)
	}
	if err := ep.Listen(1024); err != nil {
		return fmt.Errorf("host %s: listen on port %d: %v", host.Name, port, err)
	}
	c := &conn{host: host, step: l.accept}
	entry := waiter.NewFunctionEntry(waiter.ReadableEvents, func(waiter.EventMask) { c.notice() })
	l.queue.EventRegister(&entry)
	return nil
}

func (l *listener) accept() {
	for {
		var peer tcpip.FullAddress
		ep, q, err := l.ep.Accept(&peer)
		if err != nil {
			return
		}
		local, _ := ep.GetLocalAddress()
		f := l.load.live[Tuple{addrPort(peer), addrPort(local)}]
		if f == nil {
			l.load.sim.Violate("%s accepted a connection from %s that nobody made", l.host.Name, addrPort(peer))
			ep.Close()
			return
		}
		f.accepted = append(f.accepted, l.number)
		c := newConn(l.host, f, ep, q)
		c.server = l.number
		c.step = c.serve
		c.notice()
	}
}

// serve is the application at the server's end.
func (c *conn) serve() {
	f := c.flow
	ok := c.receive(func(b []byte, i int) {
		f.bind(c.server)
		if i+len(b) > f.Up {
			f.load.sim.Violate("%v: the server got more than was sent", f)
		} else if j := f.up().mismatch(b, i); j >= 0 {
			f.load.sim.Violate("%v: byte %d towards server %d is wrong", f, i+j, c.server)
		}
	})
	if !ok || !f.ServerFirst && c.read == 0 && !c.eof {
		return
	}
	down, greeting := f.down(c.server), f.greeting(c.server)
	limit := greetingSize
	if c.read == f.Up || f.ServerShuts {
		limit += f.Down
	}
	if !c.write(limit, func(b []byte, i int) {
		for j := range b {
			if i+j < greetingSize {
				b[j] = greeting[i+j]
			} else {
				b[j] = down.at(i + j - greetingSize)
			}
		}
	}) {
		return
	}
	if c.read == f.Up && f.ServerEnds || f.ServerShuts || c.eof {
		c.end()
	}
	if !c.eof {
		return
	}
	c.close()
	switch {
	case !f.ServerShuts:
	case c.read == f.Up:
		f.finish()
	default:
		f.fail(fmt.Errorf("closed by the client after %d of %d bytes", c.read, f.Up))
	}
}
