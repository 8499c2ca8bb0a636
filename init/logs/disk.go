package logs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// What the state partition holds of every source: NAME.log, which grows to
// fileBytes, and the two before it, NAME.log.1 and NAME.log.2.
const (
	fileBytes = 1 << 20
	oldFiles  = 2
	retry     = 30 * time.Second // after an error
	fillTime  = 30 * time.Second // a file takes at least so long: who floods the log must not wear the disk out
)

// disk writes the sources' lines to files. It reads the rings as any reader
// does: a disk that fails or hangs costs lines on the disk and nothing else.
type disk struct {
	dir    string
	fill   time.Duration
	report func(text string)
	ctx    context.Context
	wait   sync.WaitGroup

	mu     sync.Mutex
	failed map[string]bool // guarded by mu; the sources that are not written
}

// Keep writes all sources to files in dir from now on, with what memory holds
// of the past. Report is told once if that fails, and once when it works again.
// The returned function writes what is left and closes the files, for as long
// as its context allows.
func (s *Store) Keep(dir string, report func(text string)) (stop func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	d := &disk{dir: dir, fill: s.fill, report: report, ctx: ctx, failed: map[string]bool{}}
	s.mu.Lock()
	s.disk = d
	for _, src := range s.sources {
		d.follow(src)
	}
	s.mu.Unlock()
	return func(limit context.Context) {
		s.mu.Lock()
		s.disk = nil
		s.mu.Unlock()
		cancel()
		done := make(chan struct{})
		go func() { d.wait.Wait(); close(done) }()
		select {
		case <-done:
		case <-limit.Done():
		}
	}
}

func (d *disk) follow(src *Source) {
	d.wait.Add(1)
	go func() {
		defer d.wait.Done()
		f := &file{path: filepath.Join(d.dir, src.name+".log")}
		defer f.close()
		for next := 0; ; {
			lines, lost, err := src.wait(d.ctx, next)
			if err != nil { // the end: what came last is written still
				lines = src.Since(next)
			}
			werr := f.write(src.now(), lines, lost)
			d.told(src.name, werr)
			switch {
			case err != nil:
				return
			case werr != nil:
				if !d.pause(retry) {
					return
				}
			default:
				next += lost + len(lines)
				if f.f == nil {
					d.pause(d.fill - time.Since(f.begun))
				}
			}
		}
	}()
}

// pause reports whether there is more to do after it.
func (d *disk) pause(t time.Duration) bool {
	select {
	case <-time.After(t):
		return true
	case <-d.ctx.Done():
		return false
	}
}

// told reports the first source that fails, and that none does any more.
func (d *disk) told(name string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := len(d.failed) > 0
	delete(d.failed, name)
	if err != nil {
		d.failed[name] = true
	}
	switch {
	case err != nil && !was:
		d.report(fmt.Sprintf("logs are kept in memory only: %v", err))
	case len(d.failed) == 0 && was:
		d.report("logs are kept on the state partition again")
	}
}

// file is NAME.log with those before it.
type file struct {
	path  string
	f     *os.File // nil: not open, or just rotated
	size  int64
	begun time.Time // when it was opened
}

// write appends the lines, all or none. Now is the time since the kernel started.
func (f *file) write(now time.Duration, lines []Line, lost int) error {
	if len(lines) == 0 {
		return nil
	}
	if err := f.open(); err != nil {
		return err
	}
	var b []byte
	if lost > 0 {
		b = fmt.Appendf(b, "[%d lines are missing here]\n", lost)
	}
	started := time.Now().Add(-now)
	for _, l := range lines {
		b = started.Add(l.At).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
		b = fmt.Appendf(b, " [%12.6f] %s\n", l.At.Seconds(), l.Text)
	}
	if _, err := f.f.Write(b); err != nil {
		f.f.Truncate(f.size) // a part of it would come twice with the next attempt
		f.close()
		return err
	}
	if f.size += int64(len(b)); f.size >= fileBytes {
		return f.rotate()
	}
	return nil
}

func (f *file) open() error {
	if f.f != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	opened, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := opened.Stat()
	if err != nil {
		opened.Close()
		return err
	}
	f.f, f.size, f.begun = opened, info.Size(), time.Now()
	return nil
}

func (f *file) rotate() error {
	f.close()
	old := func(n int) string { return f.path + "." + strconv.Itoa(n) }
	for n := oldFiles; n > 1; n-- {
		if err := os.Rename(old(n-1), old(n)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return os.Rename(f.path, old(1))
}

func (f *file) close() {
	if f.f != nil {
		f.f.Close()
		f.f = nil
	}
}
