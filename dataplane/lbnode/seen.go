package lbnode

import "sync/atomic"

// seenTicks holds when something was last seen of each server, by number. One
// worker writes, anybody reads.
type seenTicks struct {
	byNumber atomic.Pointer[[]atomic.Uint32]
}

// grow makes room for numbers below n.
func (s *seenTicks) grow(n int) {
	old := s.byNumber.Load()
	if old != nil && len(*old) >= n {
		return
	}
	grown := make([]atomic.Uint32, n)
	if old != nil {
		for i := range *old {
			grown[i].Store((*old)[i].Load())
		}
	}
	s.byNumber.Store(&grown)
}

// mark notes that something was seen; the common case, twice in one tick, only reads.
func (s *seenTicks) mark(number uint16, tick uint32) {
	if list := s.byNumber.Load(); list != nil && int(number) < len(*list) && (*list)[number].Load() != tick {
		(*list)[number].Store(tick)
	}
}

// last is the tick of the last time; 0: never.
func (s *seenTicks) last(number uint16) uint32 {
	if list := s.byNumber.Load(); list != nil && int(number) < len(*list) {
		return (*list)[number].Load()
	}
	return 0
}
