package terminal

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

func TestATerminalIsOpenedByItsNameAndLeftAsItWas(t *testing.T) {
	keys, line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	defer line.Close()
	before, err := unix.IoctlGetTermios(int(line.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	vt, err := Open(line.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !vt.Interactive() {
		t.Error("nobody types there")
	}
	typed := "\x03\x1b[A\r\x00\xff"
	if _, err := keys.WriteString(typed); err != nil {
		t.Fatal(err)
	}
	for i := range len(typed) {
		if c := <-vt.Keys(); c != typed[i] {
			t.Errorf("byte %d is %#x, typed was %#x", i, c, typed[i])
		}
	}
	if _, err := io.WriteString(vt, "one\ntwo"); err != nil {
		t.Fatal(err)
	}
	shown := make([]byte, 8)
	if _, err := io.ReadFull(keys, shown); err != nil || string(shown) != "one\r\ntwo" {
		t.Errorf("%q, %v: no echo, and CR LF", shown, err)
	}
	if err := vt.Close(); err != nil {
		t.Error(err)
	}
	if after, err := unix.IoctlGetTermios(int(line.Fd()), unix.TCGETS); err != nil || *after != *before {
		t.Errorf("the modes are %+v and were %+v: %v", after, before, err)
	}
}

func TestALineThatIsGoneEndsTheKeys(t *testing.T) {
	keys, line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	vt, err := New(line, line)
	if err != nil {
		t.Fatal(err)
	}
	keys.Close()
	for range vt.Keys() {
		t.Error("a key from nobody")
	}
	vt.Close()
}

func TestWhatIsNoTerminalIsNotOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, file + "-missing"} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "terminal") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestTextIsMadeFitForATerminal(t *testing.T) {
	for in, want := range map[string]string{"plain": "plain", "a\tb": "a b", "\x1b[2Jx\r\n": "?[2Jx??", "über": "?ber", "\xff\xfe": "??", "": ""} {
		if got := Clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string][]string{"": {""}, "short": {"short"}, "one two three": {"one two", "three"}, "exactly 10": {"exactly 10"}, "averylongword": {"averylongw", "ord"}, "a verylongword": {"a verylong", "word"}} {
		if got := Wrap(in, 10); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"short": "short", "exactly 10": "exactly 10", "more than 10": "more tha.."} {
		if got := Cut(in, 10); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
