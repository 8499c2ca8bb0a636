package logs

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Source is the log of one service, of init or of the kernel.
type Source struct {
	name string
	now  func() time.Duration

	mu      sync.Mutex
	ring    ring          // guarded by mu
	changed chan struct{} // guarded by mu; closed at the next line, nil while nobody waits
}

// Print adds what is said now; text of several lines becomes several lines.
func (s *Source) Print(text string) {
	w := s.Writer()
	w.Write([]byte(text))
	w.Close()
}

// Printf is Print of a formatted text.
func (s *Source) Printf(format string, args ...any) { s.Print(fmt.Sprintf(format, args...)) }

// add takes a line that is clean.
func (s *Source) add(l Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring.add(l)
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// Mark is the number that the next line gets, for Since.
func (s *Source) Mark() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ring.end()
}

// Since is what is kept from the mark on, oldest first.
func (s *Source) Since(mark int) []Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines, _ := s.ring.from(mark, len(s.ring.lines))
	return lines
}

// Tail is the newest n lines, oldest first; all that is kept if n is 0.
func (s *Source) Tail(n int) []Line { return s.Since(s.tailMark(n)) }

func (s *Source) tailMark(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n <= 0 {
		return s.ring.first
	}
	return max(s.ring.first, s.ring.end()-n)
}

// batch is how many lines a reader takes at once.
const batch = 256

// Follow gives the newest n lines (all if 0) and then what comes, until ctx
// ends or give fails. A reader that is too slow misses lines, and is told so;
// the writer does not notice.
func (s *Source) Follow(ctx context.Context, n int, give func(Line) error) error {
	for next := s.tailMark(n); ; {
		lines, lost, err := s.wait(ctx, next)
		if err != nil {
			return err
		}
		if lost > 0 {
			lines = append([]Line{{At: lines[0].At, Text: fmt.Sprintf("[%d lines came too fast and are missing here]", lost)}}, lines...)
			next-- // that line has no number
		}
		for _, l := range lines {
			if err := give(l); err != nil {
				return err
			}
		}
		next += lost + len(lines)
	}
}

// wait returns at least one line from number next on, or the error of ctx.
func (s *Source) wait(ctx context.Context, next int) (lines []Line, lost int, err error) {
	for {
		s.mu.Lock()
		lines, lost = s.ring.from(next, batch)
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		if len(lines) > 0 {
			return lines, lost, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}
