// Package crash keeps records of what ended badly: the kernel (its pstore) and
// the services. They are in memory, bounded, and on the state partition, one
// file each:
//
//	<state>/crash/20261123T150405.000Z-dataplane.txt
package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/services/wholefile"
)

const (
	// TextBytes is how much of a record's end is kept in memory and told.
	TextBytes = 16 << 10
	fileBytes = 64 << 10
	perName   = 8 // newest records of each name; one that always crashes pushes out no other's
)

// Kernel is the name of the kernel's records.
const Kernel = "kernel"

// Record is one crash.
type Record struct {
	Name string // Kernel, a service, or init
	Time time.Time
	Text string // a line that says what happened, and the end of the rest; at most TextBytes
}

// Store has the records.
type Store struct {
	now  func() time.Time
	tell func(line string)

	mu      sync.Mutex
	dir     string   // guarded by mu; empty: memory only, for now
	records []Record // guarded by mu; newest first

	write   sync.Mutex // held by the one that writes files, without mu
	pending sync.WaitGroup
}

// NewStore makes an empty one, in memory. Tell is told of files that cannot be
// written.
func NewStore(now func() time.Time, tell func(line string)) *Store {
	return &Store{now: now, tell: tell}
}

// Add keeps a record of what ended just now. It does not wait for a disk.
func (s *Store) Add(name, text string) {
	r := Record{Name: name, Time: s.now().UTC().Truncate(time.Millisecond), Text: text}
	s.mu.Lock()
	s.insert(r)
	dir := s.dir
	s.mu.Unlock()
	if dir != "" {
		s.pending.Go(func() {
			if err := s.save(dir, r); err != nil {
				s.tell(err.Error())
			}
		})
	}
}

// List is all records, newest first.
func (s *Store) List() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.records)
}

// insert keeps the order and the bounds.
func (s *Store) insert(r Record) {
	r.Text = tail(r.Text, TextBytes)
	at, _ := slices.BinarySearchFunc(s.records, r, func(a, b Record) int { return b.Time.Compare(a.Time) })
	s.records = slices.Insert(s.records, at, r)
	n := 0
	s.records = slices.DeleteFunc(s.records, func(o Record) bool {
		if o.Name == r.Name {
			n++
		}
		return o.Name == r.Name && n > perName
	})
}

// Open reads the records that dir has and writes those that were added before.
func (s *Store) Open(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("open the crash records: %w", err)
	}
	old, err := load(dir)
	if err != nil {
		return fmt.Errorf("open the crash records: %w", err)
	}
	s.mu.Lock()
	s.dir = dir
	fresh := slices.Clone(s.records)
	for _, r := range old {
		s.insert(r)
	}
	s.mu.Unlock()
	for _, r := range fresh {
		if err := s.save(dir, r); err != nil {
			return err
		}
	}
	return nil
}

// Wait returns when the records that were added are written.
func (s *Store) Wait() { s.pending.Wait() }

const stamp = "20060102T150405.000Z"

// save writes a record's file and removes the oldest of its name.
func (s *Store) save(dir string, r Record) error {
	s.write.Lock()
	defer s.write.Unlock()
	file := filepath.Join(dir, r.Time.Format(stamp)+"-"+r.Name+".txt")
	if err := wholefile.Replace(file, []byte(tail(r.Text, fileBytes))); err != nil {
		return fmt.Errorf("keep a crash record of %s: %w", r.Name, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*Z-"+r.Name+".txt")) // sorted: oldest first
	if err != nil {
		return fmt.Errorf("bound the crash records: %w", err)
	}
	for _, old := range files[:max(0, len(files)-perName)] {
		_ = os.Remove(old) // tried again with the next record
	}
	return nil
}

// load reads what files have the form of records, and ignores all others.
func load(dir string) (all []Record, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		at, name, ok := strings.Cut(strings.TrimSuffix(e.Name(), ".txt"), "-")
		when, terr := time.Parse(stamp, at)
		if !ok || terr != nil || !e.Type().IsRegular() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // a damaged sector must not hide the others
		}
		all = append(all, Record{Name: name, Time: when, Text: tail(string(text), TextBytes)})
	}
	return all, nil
}

// tail is the first line of a text and, of the rest, the end that fits, from the
// beginning of a line on.
func tail(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	head, rest, _ := strings.Cut(text, "\n")
	head = head[:min(len(head), limit/2)]
	rest = rest[max(0, len(rest)-(limit-len(head)-1)):]
	if _, whole, ok := strings.Cut(rest, "\n"); ok {
		rest = whole
	}
	return head + "\n" + rest
}
