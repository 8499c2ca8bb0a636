package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/init/logs"
)

var day = time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)

// rig is a store whose clock goes on by a second with every look.
func rig(t *testing.T) (s *Store, dir string) {
	now := day
	s = NewStore(func() time.Time { now = now.Add(time.Second); return now }, func(line string) { t.Error(line) })
	return s, filepath.Join(t.TempDir(), "crash")
}

func names(s *Store) string {
	var all []string
	for _, r := range s.List() {
		all = append(all, r.Name+" "+r.Text)
	}
	return strings.Join(all, ", ")
}

func TestRecordsOutliveTheMachineNewestFirst(t *testing.T) {
	s, dir := rig(t)
	s.Add("noded", "before there was a disk")
	if err := s.Open(dir); err != nil {
		t.Fatal(err)
	}
	s.Add("dataplane", "after")
	s.Wait()
	next, _ := rig(t)
	if err := next.Open(dir); err != nil {
		t.Fatal(err)
	}
	if got, want := names(next), "dataplane after, noded before there was a disk"; got != want {
		t.Errorf("records %q, want %q", got, want)
	}
	if r := next.List()[0]; !r.Time.Equal(day.Add(2 * time.Second)) {
		t.Errorf("time %v", r.Time)
	}
}

func (s *Store) files(t *testing.T, dir string) []string {
	all, err := filepath.Glob(dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOneThatAlwaysCrashesPushesOutNoOther(t *testing.T) {
	s, dir := rig(t)
	s.Add("noded", "once")
	for i := range 3 * perName {
		s.Add("dataplane", fmt.Sprint(i))
	}
	if err := s.Open(dir); err != nil {
		t.Fatal(err)
	}
	if n := len(s.List()); n != perName+1 || len(s.files(t, dir)) != n {
		t.Errorf("%d records, files %q", n, s.files(t, dir))
	}
	if got := names(s); !strings.HasPrefix(got, "dataplane 23, dataplane 22") || !strings.HasSuffix(got, "noded once") {
		t.Errorf("records %q", got)
	}
	// more of them, now with a disk
	for i := range 2 {
		if err := s.save(dir, Record{Name: "dataplane", Time: day.Add(time.Hour + time.Duration(i)), Text: "later"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.files(t, dir)); n != perName+1 {
		t.Errorf("%d files", n)
	}
}

func TestForeignAndDamagedFilesAreLeftAlone(t *testing.T) {
	s, dir := rig(t)
	os.MkdirAll(filepath.Join(dir, day.Format(stamp)+"-dir.txt"), 0o700)
	os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("x"), 0o600)
	os.WriteFile(filepath.Join(dir, day.Format(stamp)+"-noded.txt"), []byte("\xff\x00"), 0o600)
	if err := s.Open(dir); err != nil {
		t.Fatal(err)
	}
	if n := len(s.List()); n != 1 || len(s.files(t, dir)) != 3 {
		t.Errorf("records %q, files %q", names(s), s.files(t, dir))
	}
}

func pstore(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, day, day); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var panicked = map[string]string{
	"dmesg-erst-7000000000000000002": "Panic#2 Part1\n<0>[ 9.9] Kernel panic - not syncing: sysrq triggered crash\n",
	"dmesg-erst-7000000000000000001": "Panic#2 Part2\n<6>[ 9.8] sysrq: Trigger a crash\n",
	"dmesg-erst-7000000000000000000": "Oops#1 Part1\n<4>[ 9.7] Oops\n",
}

func TestTheKernelsLastWordsAreJoinedAndMovedToTheDisk(t *testing.T) {
	s, dir := rig(t)
	from := pstore(t, panicked)
	if err := s.Open(dir); err != nil {
		t.Fatal(err)
	}
	n, err := s.Collect(from)
	if err != nil || n != 2 || len(s.List()) != 2 {
		t.Fatalf("%d records: %v", n, err)
	}
	want := "kernel: Kernel panic - not syncing: sysrq triggered crash\n[ 9.8] sysrq: Trigger a crash\n[ 9.9] Kernel panic - not syncing: sysrq triggered crash\n"
	if !strings.Contains(names(s), want) {
		t.Errorf("records %q", names(s))
	}
	if left, _ := os.ReadDir(from); len(left) != 0 {
		t.Errorf("left in pstore: %v", left)
	}
}

func TestTheKernelsLastWordsStayWhereThereIsNoDisk(t *testing.T) {
	s, _ := rig(t)
	from := pstore(t, panicked)
	if n, err := s.Collect(from); err != nil || n != 2 || len(s.List()) != 2 {
		t.Fatalf("%d records: %v", n, err)
	}
	if left, _ := os.ReadDir(from); len(left) != 3 {
		t.Errorf("left in pstore: %v", left)
	}
}

func TestALongRecordKeepsItsHeadAndItsEnd(t *testing.T) {
	text := "kernel: why\n" + strings.Repeat("one line of many\n", 10_000) + "the end"
	got := tail(text, TextBytes)
	if len(got) > TextBytes || len(got) < TextBytes-40 || !strings.HasPrefix(got, "kernel: why\none line of many\n") || !strings.HasSuffix(got, "\nthe end") {
		t.Errorf("%d bytes, %.60q ... %q", len(got), got, got[len(got)-20:])
	}
}

func TestARecordWithoutATimeSaysSo(t *testing.T) {
	s, _ := rig(t)
	from := pstore(t, map[string]string{"dmesg-ramoops-0": "Panic#1 Part1\nx\n"})
	os.Chtimes(filepath.Join(from, "dmesg-ramoops-0"), time.Unix(0, 0), time.Unix(0, 0))
	if _, err := s.Collect(from); err != nil || !strings.Contains(names(s), "is not known") {
		t.Errorf("%v: records %q", err, names(s))
	}
}

func TestAServicesRecordHasItsDeathCryHoweverLongItIs(t *testing.T) {
	s, _ := rig(t)
	var last []logs.Line
	for i := range 1000 {
		last = append(last, logs.Line{Text: fmt.Sprintf("served %d", i)})
	}
	s.AddService("noded", "signal: killed", last)
	last = append(last, logs.Line{Text: "panic: a slip"})
	for range 1000 {
		last = append(last, logs.Line{Text: "a frame of a stack that is rather long"})
	}
	s.AddService("noded", "exit status 2", last)
	all := s.List()
	for i, want := range [][2]string{{"panic: a slip", "served 985"}, {"served 999", "served 990"}} {
		if r := all[i]; len(r.Text) > TextBytes || !strings.Contains(r.Text, want[0]) || !strings.Contains(r.Text, want[1]) || !strings.HasPrefix(r.Text, "noded: ") {
			t.Errorf("record %d of %d bytes lacks %q: %.200s", i, len(r.Text), want, r.Text)
		}
	}
}
