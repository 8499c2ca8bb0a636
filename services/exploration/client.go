package exploration

import (
	"bytes"

	"weir/dataplane/packet"
)

// rounds is how often the client asks and the server answers.
const rounds = 2

// Times of the client, ns.
const (
	synTimeout  = 1e9 // doubles, as all timeouts do
	dataTimeout = 3e8
	maxTimeout  = 4e9
	idleTime    = 1.5e9 // between the first round and the second
)

// request and answer are what is said in a round.
func request(i int) []byte { return []byte{'q', byte('0' + i)} }
func answer(i int) []byte  { return []byte{'a', byte('0' + i), '.'} }

var greeting = []byte("hello")

type clientState uint8

const (
	synSent clientState = iota
	established
	resting // between two rounds
	done
	wasReset
)

// client is the TCP client and its application.
type clientHost struct {
	w       *world
	state   clientState
	iss     uint32
	irs     uint32
	rcvNxt  uint32
	acked   uint32 // bytes of its stream that the server acknowledged
	asked   int    // rounds whose request was sent
	got     []byte
	timeout int64
	due     int64
}

const never = int64(1) << 62

func (c *clientHost) start() {
	c.iss, c.timeout = 1000, synTimeout
	c.repeat()
}

// sent is the client's stream so far.
func (c *clientHost) sent() (b []byte) {
	for i := range c.asked {
		b = append(b, request(i)...)
	}
	return b
}

// expected is what the server has to say after so many rounds.
func (c *clientHost) expected(n int) (b []byte) {
	b = append(b, c.w.greeting()...)
	for i := range n {
		b = append(b, answer(i)...)
	}
	return b
}

func (c *clientHost) send(s segment) { c.w.toCluster(frameOf(&s, true)) }

// repeat sends what is not acknowledged, and sets the timer.
func (c *clientHost) repeat() {
	switch c.state {
	case synSent:
		c.send(segment{flags: packet.SYN, seq: c.iss})
	case established:
		s := segment{flags: packet.ACK, seq: c.iss + 1 + c.acked, ack: c.rcvNxt, payload: c.sent()[c.acked:]}
		c.send(s)
	}
	c.due = c.w.now + c.timeout
	c.timeout = min(2*c.timeout, maxTimeout)
}

func (c *clientHost) tick() {
	if c.state == resting {
		c.state = established
		c.ask()
		return
	}
	c.repeat()
}

func (c *clientHost) ask() {
	c.asked++
	c.timeout = dataTimeout
	c.repeat()
}

func (c *clientHost) ack() {
	c.send(segment{flags: packet.ACK, seq: c.iss + 1 + uint32(len(c.sent())), ack: c.rcvNxt})
}

func (c *clientHost) receive(s *segment) {
	switch {
	case c.state == done || c.state == wasReset:
	case c.state == synSent:
		c.answered(s)
	case s.flags&packet.SYN != 0:
		c.ack()
	case s.flags&packet.RST != 0:
		if s.seq == c.rcvNxt {
			c.reset()
		}
	default:
		c.data(s)
	}
}

// answered handles what comes in answer to the SYN.
func (c *clientHost) answered(s *segment) {
	if s.flags&packet.ACK == 0 || s.ack != c.iss+1 {
		return
	}
	if s.flags&packet.RST != 0 {
		c.reset()
		return
	}
	if s.flags&packet.SYN == 0 {
		return
	}
	c.state, c.irs, c.rcvNxt = established, s.seq, s.seq+1
	c.ack()
	c.due = never
	if len(c.w.greeting()) == 0 {
		c.ask()
	}
}

func (c *clientHost) reset() {
	c.state, c.due = wasReset, never
}

// data handles a segment of the connection.
func (c *clientHost) data(s *segment) {
	if a := s.ack - (c.iss + 1); s.flags&packet.ACK != 0 && a > c.acked && int(a) <= len(c.sent()) {
		c.acked = a
	}
	fresh := s.payload
	if behind := c.rcvNxt - s.seq; behind <= uint32(len(fresh)) {
		fresh = fresh[behind:]
	} else {
		fresh = nil
	}
	if len(s.payload) > 0 {
		c.rcvNxt += uint32(len(fresh))
		c.got = append(c.got, fresh...)
		if all := c.expected(rounds); !bytes.HasPrefix(all, c.got) {
			c.w.violate("the client got %q", c.got)
		}
		c.ack()
	}
	switch got := len(c.got); {
	case c.state == resting:
	case got == len(c.expected(rounds)):
		c.state, c.due = done, never
	case c.asked == 0 && got == len(c.w.greeting()):
		c.ask()
	case c.asked > 0 && got == len(c.expected(c.asked)):
		c.state, c.due = resting, c.w.now+idleTime
	}
}
