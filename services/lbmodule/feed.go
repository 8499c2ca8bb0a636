package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"

	"github.com/cilium/ebpf/ringbuf"

	"weir/dataplane/flow"
	"weir/services/lbmodule/agent"
	"weir/services/lbmodule/diag"
)

// datagram is a control datagram and where it came from.
type datagram struct {
	from netip.AddrPort
	d    []byte
}

// queued bounds what waits between a reader and the loop; beyond it the
// kernel's socket buffers hold, then drop.
const queued = 256

// readDatagrams reads control datagrams until the socket closes.
func readDatagrams(c *net.UDPConn, to chan<- datagram) {
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error about an earlier datagram
		}
		to <- datagram{from, bytes.Clone(buf[:n])}
	}
}

// frameSize is how much of a frame the agent looks at: all headers.
const frameSize = 256

// frame is the head of a frame of weir1.
type frame struct {
	n int
	b [frameSize]byte
}

// errGone ends the program when its interface does: started again, it makes a
// new one.
var errGone = errors.New("the module's interface was removed")

// readFrames reads what the kernel sent from public addresses until the socket
// closes, or the interface is gone.
func readFrames(p *packetSocket, to chan<- frame) error {
	for {
		var f frame
		n, err := p.file.Read(f.b[:]) // cuts off what is longer
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil { // the interface went down, or away
			if !p.exists() {
				return errGone
			}
			continue
		}
		f.n = n
		to <- f
	}
}

// readStrays reads the data path's reports until the reader closes.
func readStrays(r *ringbuf.Reader, to chan<- agent.Stray) {
	var rec ringbuf.Record
	for {
		if err := r.ReadInto(&rec); err != nil {
			if errors.Is(err, ringbuf.ErrClosed) {
				return
			}
			continue
		}
		if s, ok := decodeStray(rec.RawSample); ok {
			to <- s
		}
	}
}

// readDestroyed reads of destroyed sockets until the events are closed. It
// never waits for the loop: what it loses, the collector finds later.
func readDestroyed(e *diag.Events, to chan<- flow.Key) {
	for {
		err := e.Read(func(k *flow.Key) {
			select {
			case to <- *k:
			default:
			}
		})
		if errors.Is(err, os.ErrClosed) {
			return
		}
	}
}

// decodeStray reads struct weir_stray: key 40, node's address 4, sequence 4, acknowledgement 4, flags 1.
func decodeStray(b []byte) (s agent.Stray, ok bool) {
	if len(b) < 53 {
		return s, false
	}
	s.Key.Get(b)
	s.From = netip.AddrFrom4([4]byte(b[40:44]))
	s.Seq, s.Ack, s.Flags = binary.NativeEndian.Uint32(b[44:]), binary.NativeEndian.Uint32(b[48:]), b[52]
	return s, true
}
