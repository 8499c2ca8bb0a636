package guard

import (
	"sync"
	"time"
)

// Said keeps the log readable: the same line is said once a minute, and no more
// than a few hundred different ones.
type Said struct {
	mu    sync.Mutex
	since time.Time
	lines map[string]bool
}

const (
	maxLines = 300
	quietFor = time.Minute
)

// New reports whether a line is to be said.
func (s *Said) New(line string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.since) >= quietFor || s.lines == nil {
		s.since, s.lines = now, map[string]bool{}
	}
	if s.lines[line] || len(s.lines) >= maxLines {
		return false
	}
	s.lines[line] = true
	return true
}
