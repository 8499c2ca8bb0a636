package crash

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Collect takes the records that the kernel left in its pstore when it died
// (Documentation/ABI/testing/pstore), usually /sys/fs/pstore. They are removed
// there once they are safe on the state partition: without one they stay, for
// the next boot. It returns how many there were.
func (s *Store) Collect(pstore string) (int, error) {
	entries, err := os.ReadDir(pstore)
	if err != nil {
		return 0, fmt.Errorf("read the kernel's crash records: %w", err)
	}
	var parts []part
	for _, e := range entries {
		p, err := readPart(filepath.Join(pstore, e.Name()))
		if err != nil {
			return 0, fmt.Errorf("read the kernel's crash records: %w", err)
		}
		parts = append(parts, p)
	}
	s.mu.Lock()
	dir := s.dir
	s.mu.Unlock()
	dumps := join(parts)
	for _, d := range dumps {
		r := Record{Name: Kernel, Time: d.time, Text: d.text}
		if r.Time.IsZero() {
			r.Time = s.now().UTC().Truncate(time.Millisecond)
			r.Text = strings.Replace(r.Text, "\n", " (found at this time; when it happened is not known)\n", 1)
		}
		s.mu.Lock()
		s.insert(r)
		s.mu.Unlock()
		if dir == "" {
			continue
		}
		if err := s.save(dir, r); err != nil {
			return len(dumps), err
		}
		for _, file := range d.files {
			if err := os.Remove(file); err != nil {
				return len(dumps), fmt.Errorf("clear a crash record of the kernel: %w", err)
			}
		}
	}
	return len(dumps), nil
}

// part is one file of pstore. A dump of the kernel's log is cut into parts that
// fit the store; part 1 is its end:
//
//	Panic#1 Part2
//	<4>[   12.3] ...
type part struct {
	file   string
	reason string // "Panic#1", "Oops#1"; empty: no dump of the log
	number int
	time   time.Time // zero: not known
	text   string
}

// priority begins every line of a dump: "<4>".
var priority = regexp.MustCompile(`(?m)^<\d+>`)

func readPart(file string) (part, error) {
	p := part{file: file}
	b, err := os.ReadFile(file)
	if err != nil {
		return p, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return p, err
	}
	if t := info.ModTime(); t.Year() >= 2020 { // stores without a clock say 1970
		p.time = t.UTC().Truncate(time.Millisecond)
	}
	p.text = strings.ToValidUTF8(strings.ReplaceAll(string(b), "\x00", ""), "?")
	head, rest, _ := strings.Cut(p.text, "\n")
	if n, _ := fmt.Sscanf(head, "%s Part%d", &p.reason, &p.number); n == 2 {
		p.text = priority.ReplaceAllString(rest, "")
	} else {
		p.reason = ""
	}
	return p, nil
}

// dump is a whole one.
type dump struct {
	time   time.Time
	reason string
	text   string
	files  []string
}

// join puts the parts together that are of one dump: same reason, same second.
func join(parts []part) (dumps []dump) {
	slices.SortStableFunc(parts, func(a, b part) int {
		return cmp.Or(a.time.Truncate(time.Second).Compare(b.time.Truncate(time.Second)),
			cmp.Compare(a.reason, b.reason), cmp.Compare(b.number, a.number))
	})
	for i, p := range parts {
		last := len(dumps) - 1
		if i > 0 && p.reason != "" && p.reason == parts[i-1].reason && p.number < parts[i-1].number &&
			p.time.Truncate(time.Second).Equal(parts[i-1].time.Truncate(time.Second)) {
			d := &dumps[last]
			d.text += p.text
			d.files = append(d.files, p.file)
			continue
		}
		dumps = append(dumps, dump{time: p.time, reason: p.reason, text: p.text, files: []string{p.file}})
	}
	for i := range dumps {
		d := &dumps[i]
		d.text = Kernel + ": " + cmp.Or(cause(d.text), d.reason, filepath.Base(d.files[0])) + "\n" + d.text
	}
	return dumps
}

// cause is the line of a kernel's log that says why it died.
func cause(log string) (found string) {
	for line := range strings.Lines(log) {
		for _, sign := range []string{"Kernel panic - ", "BUG: ", "Oops: ", "general protection fault"} {
			if at := strings.Index(line, sign); at >= 0 {
				found = strings.TrimSpace(line[at:]) // the last: a panic follows its oops
			}
		}
	}
	return found
}
