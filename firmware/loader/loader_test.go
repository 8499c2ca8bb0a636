package loader

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/firmware/trial"
)

// answer is what the loader's C code says of two copies of a record.
type answer struct {
	found    bool
	version  string // of slot b
	watchdog int
	order    string
	trial    string // "may", "no record", "not asked", "had"
}

// ask compiles efi/record.c for this machine and gives it records.
func ask(t *testing.T, dir string, slot trial.Slot, started uint64, copies ...[]byte) (a answer) {
	t.Helper()
	program := filepath.Join(dir, "ask")
	if _, err := os.Stat(program); err != nil {
		c := exec.Command("gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined,address", "-I", "efi", "-o", program, "testdata/ask.c", "efi/record.c")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("gcc: %v\n%s", err, out)
		}
	}
	c := exec.Command(program, slot.String(), fmt.Sprint(started))
	c.Stdin = strings.NewReader(string(copies[0]) + string(copies[1]))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(string(out), "\n")
	if len(lines) < 5 {
		t.Fatalf("it says %q", out)
	}
	a.found, a.version, a.order, a.trial = lines[0] == "1", lines[1], lines[3], lines[4]
	fmt.Sscan(lines[2], &a.watchdog)
	return a
}

func TestTheLoaderReadsTheRecordAsTheNodeWroteIt(t *testing.T) {
	dir := t.TempDir()
	r := trial.Record{State: trial.Tried, Committed: trial.A, Trial: trial.B, Nonce: 1<<63 + 5, Sequence: 9, Watchdog: 90 * time.Second,
		Slots: [2]trial.Image{{Status: trial.Good, Version: "1.0.0"}, {Status: trial.Untried, Version: "2.0.0-rc1"}}}
	none := make([]byte, trial.Size)
	older, newer := r, r
	older.Sequence, older.State = 8, trial.Written
	newer.Sequence, newer.State, newer.Committed = 10, trial.Committed, trial.B
	writing := r
	writing.State = trial.Writing
	writing.Slots[1].Status = trial.Incomplete
	torn := slices.Concat(r.Encode()[:256], older.Encode()[256:])
	for _, c := range []struct {
		name     string
		one, two []byte
		slot     trial.Slot
		started  uint64
		want     answer
	}{
		{"a trial", r.Encode(), none, trial.B, 0, answer{true, "2.0.0-rc1", 90, "ab", "may"}},
		{"the same once more", r.Encode(), none, trial.B, r.Nonce, answer{true, "2.0.0-rc1", 90, "ab", "had"}},
		{"the other slot", r.Encode(), none, trial.A, 0, answer{true, "2.0.0-rc1", 90, "ab", "not asked"}},
		{"the second copy is newer", older.Encode(), r.Encode(), trial.B, 0, answer{true, "2.0.0-rc1", 90, "ab", "may"}},
		{"the first copy is newer", newer.Encode(), r.Encode(), trial.B, 0, answer{true, "2.0.0-rc1", 90, "ba", "not asked"}},
		{"half written", writing.Encode(), none, trial.B, 0, answer{true, "2.0.0-rc1", 90, "a", "not asked"}},
		{"torn", torn, older.Encode(), trial.B, 0, answer{true, "2.0.0-rc1", 90, "ab", "not asked"}},
		{"no record", none, torn, trial.B, 0, answer{false, "", 0, "ab", "no record"}},
	} {
		if got := ask(t, dir, c.slot, c.started, c.one, c.two); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestTheLoaderKnowsTheSlotsByTheirGUIDs(t *testing.T) {
	l := Loader{SlotA: "00112233-4455-6677-8899-AABBCCDDEEFF", SlotB: "FFEEDDCC-BBAA-9988-7766-554433221100", SlotPath: "EFI/weir/weir.efi"}
	header, err := l.header()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"#define SLOT_A_GUID {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa,",
		`#define SLOT_PATH L"\\EFI\\weir\\weir.efi"`,
		"#define VENDOR_GUID {0x8b8bd7e1, 0x1d8a, 0x8c59, {0x9d, 0x3a, 0x5d, 0x0a, 0x7c, 0x2e, 0x9b, 0x64}}",
	} {
		if !strings.Contains(header, want) {
			t.Errorf("it lacks %s:\n%s", want, header)
		}
	}
	l.SlotB = "weir-b"
	if _, err := l.header(); err == nil {
		t.Error("what is no GUID is taken")
	}
}
