package agent

import "weir/dataplane/flow"

// maxEnded and endedFor bound the memory of offers that are over: long enough
// for any copy still in the network, short of any harm.
const (
	maxEnded = 65536
	endedFor = 10e9 // ns
)

// offerID names one offer (S-18).
type offerID struct {
	key       flow.Key
	clientISN uint32
	serverISN uint32
	offer     uint8
}

// memory remembers how offers ended, so that a repeated offer gets the same
// answer (S-10). The oldest are forgotten first.
type memory struct {
	answers map[offerID]uint8 // wire.Reject…; RejectNone: superseded, no answer
	order   []endedAt         // ring, which grows up to max
	head    int
	size    int
	max     int
}

type endedAt struct {
	id offerID
	at int64
}

func newMemory(n int) memory {
	return memory{answers: make(map[offerID]uint8), max: n}
}

func (m *memory) put(now int64, id offerID, reason uint8) {
	if _, known := m.answers[id]; known {
		m.answers[id] = reason
		return
	}
	m.forget(now - endedFor)
	if m.size == m.max {
		m.drop()
	} else if m.size == len(m.order) {
		m.grow()
	}
	m.order[(m.head+m.size)%len(m.order)] = endedAt{id, now}
	m.size++
	m.answers[id] = reason
}

// grow makes room, with the oldest in front.
func (m *memory) grow() {
	more := make([]endedAt, min(m.max, 2*m.size+16))
	n := copy(more, m.order[m.head:])
	copy(more[n:], m.order[:m.head])
	m.order, m.head = more, 0
}

func (m *memory) get(id offerID) (reason uint8, ok bool) {
	reason, ok = m.answers[id]
	return reason, ok
}

// forget drops what ended before a time.
func (m *memory) forget(before int64) {
	for m.size > 0 && m.order[m.head].at < before {
		m.drop()
	}
}

func (m *memory) drop() {
	delete(m.answers, m.order[m.head].id)
	m.head = (m.head + 1) % len(m.order)
	m.size--
}
