package soak

import (
	"sync"
	"time"
)

// meter watches one direction of a connection. A stall is a time in which
// bytes are under way and none arrives.
type meter struct {
	mu             sync.Mutex
	sent, received uint64
	since          time.Time // of the last progress, or when the first byte set out
	longest        time.Duration
}

// send counts bytes that are handed to the sending kernel.
func (m *meter) send(n int, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sent == m.received {
		m.since = now
	}
	m.sent += uint64(n)
}

// receive counts verified bytes. It is false for bytes that nobody sent.
func (m *meter) receive(n int, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.longest = max(m.longest, now.Sub(m.since))
	m.since = now
	m.received += uint64(n)
	return m.received <= m.sent
}

// waiting is for how long bytes have been under way without progress.
func (m *meter) waiting(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sent == m.received {
		return 0
	}
	return max(now.Sub(m.since), 1)
}

// take returns the longest stall since the last call, one that lasts included.
func (m *meter) take(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	longest := m.longest
	if m.sent != m.received {
		longest = max(longest, now.Sub(m.since))
	}
	m.longest = 0
	return longest
}
