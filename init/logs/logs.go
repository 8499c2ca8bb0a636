// Package logs keeps what the programs of a node, its kernel and init itself
// say: bounded in memory, and bounded on the state partition. Who writes never
// waits for who reads, nor for a disk.
package logs

import (
	"sort"
	"sync"
	"time"
)

// Line is one line of one source.
type Line struct {
	At   time.Duration // since the kernel started
	Text string        // printable, at most MaxLine bytes and a note of what was cut
}

// ringBytes is how much of every source is kept in memory.
const ringBytes = 256 << 10

// Store has the log of every source.
type Store struct {
	now  func() time.Duration
	fill time.Duration // see fillTime

	mu      sync.Mutex
	sources map[string]*Source // guarded by mu
	disk    *disk              // guarded by mu; nil before Keep
}

// NewStore makes an empty one. Now is the time since the kernel started.
func NewStore(now func() time.Duration) *Store {
	return &Store{now: now, fill: fillTime, sources: map[string]*Source{}}
}

// Source is the log of that name, which is new and empty if nothing was written yet.
func (s *Store) Source(name string) *Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.sources[name]
	if src == nil {
		src = &Source{name: name, now: s.now, ring: newRing(ringBytes)}
		s.sources[name] = src
		if s.disk != nil {
			s.disk.follow(src)
		}
	}
	return src
}

// Lookup is Source for a reader: nil if nobody writes that log.
func (s *Store) Lookup(name string) *Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sources[name]
}

// Names of all sources, sorted.
func (s *Store) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.sources {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
