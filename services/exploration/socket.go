package exploration

import "weir/dataplane/packet"

type socketState uint8

const (
	listening socketState = iota
	synReceived
	open
)

// socket is a server's TCP stack: one connection, and an application that
// answers requests.
type socket struct {
	s       *server
	state   socketState
	isn     uint32 // of the next connection, then of this one
	irs     uint32
	rcvNxt  uint32
	acked   uint32 // bytes of out that the client acknowledged
	out     []byte
	in      []byte
	timeout int64
	due     int64
}

func (k *socket) reset() {
	*k = socket{s: k.s, isn: k.isn + 10_000, due: never}
}

func (k *socket) send(flags uint8, seq uint32, payload []byte) {
	k.s.fromKernel(segment{flags: flags, seq: seq, ack: k.rcvNxt, payload: payload})
}

func (k *socket) tick() {
	switch {
	case k.state == synReceived:
		k.send(packet.SYN|packet.ACK, k.isn, nil)
	case k.state == open && int(k.acked) < len(k.out):
		k.push()
	default:
		k.due = never
		return
	}
	k.due = k.s.w.now + k.timeout
	k.timeout = min(2*k.timeout, maxTimeout)
	k.s.tick()
}

// push sends what is not acknowledged.
func (k *socket) push() { k.send(packet.ACK, k.isn+1+k.acked, k.out[k.acked:]) }

func (k *socket) receive(seg *segment) {
	switch {
	case seg.flags&packet.RST != 0:
		if k.state != listening && seg.seq == k.rcvNxt {
			k.reset()
		}
	case seg.flags&packet.SYN != 0:
		k.syn(seg)
	case k.state == listening || k.state == synReceived && seg.ack != k.isn+1:
		k.s.fromKernel(segment{flags: packet.RST, seq: seg.ack})
	default:
		k.data(seg)
	}
}

func (k *socket) syn(seg *segment) {
	switch {
	case k.state == listening:
		k.state, k.irs, k.rcvNxt = synReceived, seg.seq, seg.seq+1
	case k.state == open:
		k.send(packet.ACK, k.isn+1+uint32(len(k.out)), nil)
		return
	case seg.seq != k.irs:
		return
	}
	k.timeout = 2 * synTimeout
	k.due = k.s.w.now + synTimeout
	k.send(packet.SYN|packet.ACK, k.isn, nil)
}

func (k *socket) data(seg *segment) {
	if k.state == synReceived {
		k.state, k.due = open, never
		k.write(k.s.w.greeting())
	}
	if a := seg.ack - (k.isn + 1); a > k.acked && int(a) <= len(k.out) {
		k.acked = a
	}
	if len(seg.payload) == 0 {
		return
	}
	if behind := k.rcvNxt - seg.seq; behind <= uint32(len(seg.payload)) {
		fresh := seg.payload[behind:]
		k.rcvNxt += uint32(len(fresh))
		k.in = append(k.in, fresh...)
		if len(fresh) > 0 {
			k.s.w.served(k.s, k.in)
		}
	}
	before := len(k.out)
	for i := 0; i < rounds; i++ {
		if len(k.in) >= (i+1)*len(request(i)) && len(k.out) < len(k.s.w.greeting())+(i+1)*len(answer(i)) {
			k.write(answer(i))
		}
	}
	if len(k.out) == before {
		k.send(packet.ACK, k.isn+1+uint32(len(k.out)), nil)
	}
}

// write gives the stack something to send.
func (k *socket) write(b []byte) {
	if len(b) == 0 {
		return
	}
	k.out = append(k.out, b...)
	k.timeout = dataTimeout
	k.push()
	k.due = k.s.w.now + k.timeout
	k.timeout *= 2
}
