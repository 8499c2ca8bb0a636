package logs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newStore() *Store {
	start := time.Now()
	return NewStore(func() time.Duration { return time.Since(start) })
}

func texts(lines []Line) string {
	var all []string
	for _, l := range lines {
		all = append(all, l.Text)
	}
	return strings.Join(all, "|")
}

func TestLinesAreMadeOfAStreamOfBytes(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"several", "a\nb\n", "a|b"},
		{"no end", "a\nb", "a|b"},
		{"empty ones", "a\n\nb\n", "a||b"},
		{"carriage returns", "a\r\nb\r\n", "a|b"},
		{"terminal commands", "\x1b[2Jgone\a\n", `\x1b[2Jgone\x07`},
		{"binary junk", "\x00\xff\xfe\xc3(\n", `\x00\xff\xfe\xc3(`},
		{"other scripts", "größe 大きさ\t1\n", "größe 大きさ\t1"},
		{"too long", strings.Repeat("x", MaxLine+9) + "\nb\n", strings.Repeat("x", MaxLine) + " [9 bytes cut]|b"},
	} {
		s := newStore().Source("noded")
		w := s.Writer()
		for i := range len(c.in) { // however it is cut
			w.Write([]byte{c.in[i]})
		}
		w.Close()
		if got := texts(s.Tail(0)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestMemoryHoldsTheNewestLinesWithinItsBound(t *testing.T) {
	s := newStore().Source("noded")
	for i := range 100_000 {
		s.Printf("line %d", i)
	}
	all := s.Tail(0)
	if n := len(all) * (lineCost + len("line 99999")); n > ringBytes || n < ringBytes*9/10 {
		t.Errorf("%d lines, %d bytes", len(all), n)
	}
	if got := texts(s.Tail(2)); got != "line 99998|line 99999" {
		t.Errorf("newest: %q", got)
	}
	mark := s.Mark()
	s.Print("one more")
	if got := texts(s.Since(mark)); got != "one more" {
		t.Errorf("since the mark: %q", got)
	}
}

func TestAFollowerGetsThePastAndWhatComes(t *testing.T) {
	s := newStore().Source("noded")
	for i := range 5 {
		s.Printf("old %d", i)
	}
	ctx, cancel := context.WithCancel(context.Background())
	lines := make(chan Line)
	ended := make(chan error)
	go func() {
		ended <- s.Follow(ctx, 2, func(l Line) error { lines <- l; return nil })
	}()
	for _, want := range []string{"old 3", "old 4"} {
		if l := <-lines; l.Text != want {
			t.Errorf("got %q, want %q", l.Text, want)
		}
	}
	for i := range 3 {
		s.Printf("new %d", i)
		if l := <-lines; l.Text != fmt.Sprintf("new %d", i) {
			t.Errorf("got %q", l.Text)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func TestASlowFollowerMissesLinesIsToldAndHoldsNobodyUp(t *testing.T) {
	s := newStore().Source("noded")
	s.Print("first")
	lines := make(chan Line)
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		s.Follow(ctx, 0, func(l Line) error {
			select {
			case lines <- l:
			case <-ctx.Done():
			}
			return nil
		})
	})
	<-lines
	for i := range 50_000 { // nobody takes any meanwhile
		s.Printf("line %d", i)
	}
	seen, missing, last := 0, 0, ""
	for last != "line 49999" {
		l := <-lines
		last = l.Text
		var some int
		if n, _ := fmt.Sscanf(l.Text, "[%d lines came too fast", &some); n == 1 {
			missing += some
			continue
		}
		seen++
	}
	if missing == 0 || seen+missing != 50_000 {
		t.Errorf("saw %d, missed %d", seen, missing)
	}
	cancel()
	wait.Wait()
}

func TestTheKernelsRecordsAreRead(t *testing.T) {
	for record, want := range map[string]string{
		"6,339,5140900,-;NET: Registered PF_INET6\n SUBSYSTEM=net\n DEVICE=+net:x\n": "5.1409 NET: Registered PF_INET6",
		"4,12,0,-,caller=T1;odd; \x1b[0m\n":                                          `0 odd; \x1b[0m`,
		"junk":                                                                       "", "6,339;x\n": "", "6,1,x,-;y\n": "",
	} {
		got := ""
		if l, ok := parseKernel(record); ok {
			got = fmt.Sprintf("%v %s", l.At.Seconds(), l.Text)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", record, got, want)
		}
	}
}

// told collects reports.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (r *told) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

func (r *told) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lines)
}

func TestFilesHaveThePastAndWhatComesAndAreBounded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	st := newStore()
	st.fill = 0
	st.Source("init").Print("before the disk")
	var r told
	stop := st.Keep(dir, r.add)
	s := st.Source("noded") // a source that comes later
	text := strings.Repeat("x", 1000)
	for i := range 6 * fileBytes / 1000 / batch {
		for range batch {
			s.Print(text)
		}
		mark := fmt.Sprintf("] mark %d\n", i)
		s.Print(strings.TrimPrefix(mark, "] "))
		eventually(t, "the disk follows", func() bool {
			now, _ := os.ReadFile(dir + "/noded.log")
			before, _ := os.ReadFile(dir + "/noded.log.1")
			return strings.HasSuffix(string(now), mark) || strings.HasSuffix(string(before), mark)
		})
	}
	s.Print("the last line")
	stop(context.Background())
	if b, _ := os.ReadFile(dir + "/init.log"); !strings.HasSuffix(string(b), "] before the disk\n") {
		t.Errorf("init.log: %q", b)
	}
	files, _ := filepath.Glob(dir + "/noded.log*")
	if len(files) != 1+oldFiles {
		t.Errorf("files %q", files)
	}
	total := 0
	for _, f := range files {
		b, _ := os.ReadFile(f)
		if total += len(b); len(b) > fileBytes+2*batch*1100 {
			t.Errorf("%s has %d bytes", f, len(b))
		}
	}
	if b, _ := os.ReadFile(dir + "/noded.log"); !strings.HasSuffix(string(b), "the last line\n") {
		t.Error("the last line is not there")
	}
	if r.count() != 0 {
		t.Errorf("told %q", r.lines)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestAFloodOfLinesDoesNotWearTheDiskOut(t *testing.T) {
	dir := t.TempDir()
	st := newStore()
	stop := st.Keep(dir, func(line string) { t.Error(line) })
	s, text := st.Source("noded"), strings.Repeat("x", 1000)
	for range 4 * fileBytes / 1000 { // all of it fits into one pause
		s.Print(text)
	}
	stop(context.Background())
	files, _ := filepath.Glob(dir + "/noded.log*")
	total := int64(0)
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > fileBytes+2*ringBytes {
		t.Errorf("%d bytes in %q", total, files)
	}
}

func TestADiskThatIsFullCostsFilesOnlyAndIsReportedOnce(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatalf("this test mounts a small file system and needs root: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	st := newStore()
	var r told
	stop := st.Keep(dir, r.add)
	for range 200 {
		st.Source("noded").Print(strings.Repeat("x", 1000))
		st.Source("dataplane").Print(strings.Repeat("x", 1000))
	}
	eventually(t, "it is reported", func() bool { return r.count() > 0 })
	st.Source("noded").Print("after")
	if got := texts(st.Source("noded").Tail(1)); got != "after" {
		t.Errorf("in memory: %q", got)
	}
	stop(context.Background())
	if r.count() != 1 || !strings.Contains(r.lines[0], syscall.ENOSPC.Error()) {
		t.Errorf("told %q", r.lines)
	}
}

func TestADiskThatHangsHoldsNobodyUp(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "noded.log") // nobody reads it: its opening blocks
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	st := newStore()
	stop := st.Keep(dir, func(string) {})
	for i := range 10_000 {
		st.Source("noded").Printf("line %d", i)
	}
	limit, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	stop(limit)
	if got := texts(st.Source("noded").Tail(1)); got != "line 9999" {
		t.Errorf("in memory: %q", got)
	}
	f, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0) // lets it go
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}
