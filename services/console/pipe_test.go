package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"weir/services/console/facts"
	"weir/services/console/terminal"
)

// piped runs a console on pipes and returns what it printed.
func piped(t *testing.T, f *fakes, input string) string {
	t.Helper()
	in, keys, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	shown, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	done := make(chan struct{})
	go func() { defer close(done); io.Copy(&printed, shown) }()
	go func() { defer keys.Close(); io.WriteString(keys, input) }()
	vt, err := terminal.New(in, out)
	if err != nil {
		t.Fatal(err)
	}
	asker, err := facts.New(f.dir, "testdata/root")
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close()
	s := newSession(vt, asker)
	s.network = goodNetwork{}
	if err := s.run(t.Context()); err != nil {
		t.Error(err)
	}
	vt.Close()
	<-done
	return printed.String()
}

func TestCommandsFromAPipeAreNeitherPagedNorPainted(t *testing.T) {
	f := startFakes(t)
	f.configure(t, withPassword(t))
	got := piped(t, f, "logs kernel\r\n\nphases\nlogin\nwrong\nrestart dataplane\n"+password+"\nrestart noded\nlogout\nwatch\ncheck\nshell")
	for _, want := range []string{"line 1\n", "line 60\n", "hugepages", "wrong password", "dataplane is restarted", "noded is restarted", "0 failed", "wrong password"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.ContainsAny(got, "\x1b\r") || strings.Contains(got, "--more--") || strings.Contains(got, "Password") {
		t.Errorf("made for a terminal: %q", got)
	}
}

// FuzzInput types anything into a console: it must stay on its feet, write
// nothing that a VT100 does not know, change nothing, and take the next command.
func FuzzInput(f *testing.F) {
	for _, seed := range []string{"", "help\n", "\x1b[A\x1b[B\x1b[200~junk\x1b[201~\r", "\xff\xfe\x80\x00", "logs kernel 2\r\x03", "capture north count 1\n", "restart\x7f dataplane\n", "config \x1b\x1b[[\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if bytes.Contains(input, []byte("-f")) || bytes.Contains(input, []byte("shell")) || len(input) > 2000 {
			t.Skip("follows for ever, or leaves the console")
		}
		fakes := startFakes(t)
		fakes.configure(t, withPassword(t))
		got := piped(t, fakes, string(input)+"\nhelp\n\nhelp\nhelp\n")
		if !strings.Contains(got, "* needs the password") {
			t.Errorf("no help in\n%s", got)
		}
		for _, c := range []byte(got) {
			if c != '\n' && (c < ' ' || c > '~') {
				t.Fatalf("byte %#x is written", c)
			}
		}
		if len(fakes.asked) > 0 {
			t.Errorf("changed: %q", fakes.asked)
		}
	})
}

// TestJunkOnTheLine is what a serial line delivers when the other end is turned
// on or has another speed.
func TestJunkOnTheLine(t *testing.T) {
	r := newRig(t, nil, nil)
	for _, junk := range []string{"\x00\x00\xff\xfe\x80", "\x1b", "\x1b[", "\x1bO", "\x1b[1;5", "\x1b[200~", "\x7f\x08\x15\x17\x0b", strings.Repeat("z", 3000), "\xc3\x28", "\x1b[201~"} {
		r.types(junk)
		r.types("\x03\r\x03\r")
	}
	r.atPrompt()
	r.does("phases", "hugepages")
}
