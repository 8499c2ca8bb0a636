package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/crypto/bcrypt"
)

// hash runs weirctl password with this standard input.
func hash(in io.Reader) (out string, err error) {
	var o, e bytes.Buffer
	c := newPassword()
	c.SilenceUsage, c.SilenceErrors = true, true
	c.SetArgs(nil)
	c.SetIn(in)
	c.SetOut(&o)
	c.SetErr(&e)
	err = c.Execute()
	return strings.TrimSpace(o.String()), err
}

func TestPasswordFromAPipeIsHashed(t *testing.T) {
	for _, line := range []string{"open sesame\n", "open sesame\r\n", "open sesame", "open sesame\nand more\n"} {
		out, err := hash(strings.NewReader(line))
		if err != nil || bcrypt.CompareHashAndPassword([]byte(out), []byte("open sesame")) != nil {
			t.Errorf("%q: %q, %v", line, out, err)
		}
	}
}

func TestPasswordsThatAConsoleCannotTakeAreRefused(t *testing.T) {
	for _, line := range []string{"", "short", strings.Repeat("x", 73), "pa\x01ssword", "pässwörter"} {
		if out, err := hash(strings.NewReader(line + "\n")); err == nil {
			t.Errorf("%q gives %s", line, out)
		}
	}
}

func TestPasswordIsAskedForTwiceOnATerminal(t *testing.T) {
	for again, good := range map[string]bool{"open sesame": true, "open sesam": false} {
		keys, line, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, keys)
		keys.WriteString("open sesame\n" + again + "\n")
		out, err := hash(line)
		if (err == nil) != good || good && bcrypt.CompareHashAndPassword([]byte(out), []byte("open sesame")) != nil {
			t.Errorf("again %q: %q, %v", again, out, err)
		}
		line.Close()
		keys.Close()
	}
}
