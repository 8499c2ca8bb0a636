package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/services/config"
)

func (r *rig) wasAsked(want string) {
	r.t.Helper()
	r.change(func() {
		if !slices.Contains(r.asked, want) {
			r.t.Errorf("asked for %q, not for %q", r.asked, want)
		}
	})
}

func TestChangesNeedThePassword(t *testing.T) {
	r := newRig(t, nil, nil)
	r.prompt()
	for _, line := range []string{"restart dataplane", "reboot", "poweroff", "shell"} {
		r.on(line)
		r.sees("Password:")
		r.types("wrong\r")
		r.sees("wrong password")
		r.atPrompt()
		r.s.login.locked = time.Time{}
	}
	if len(r.asked) > 0 {
		t.Errorf("changed without the password: %q", r.asked)
	}
	r.on("restart dataplane")
	r.sees("Password:")
	r.types(password + "\r")
	r.sees("dataplane is restarted", "lb1#")
	r.wasAsked("restart dataplane")
	r.does("restart nonsense", `there is no service "nonsense"`)
	r.does("restart", "usage: restart SERVICE")
	r.on("reboot")
	r.sees("reboot this node? Type yes:")
	r.types("no\r")
	r.sees("not done")
	r.does("reboot now", "usage: reboot")
	for _, how := range []string{"reboot", "poweroff"} {
		r.on(how)
		r.sees("Type yes:")
		r.types("yes\r")
		r.sees(how + ": services are stopped first")
		r.wasAsked(how + " by console")
	}
	r.atPrompt()
	r.types("logout\r")
	r.onPage()
	r.types("restart noded\r")
	r.sees("Password:")
	r.types("\r")
	r.sees("wrong password")
	if strings.Contains(r.screen.All(), password) {
		t.Error("the password was shown")
	}
}

func TestAttemptsAreRateLimited(t *testing.T) {
	r := newRig(t, nil, nil)
	r.prompt()
	for range freeAttempts {
		r.on("login")
		r.sees("Password:")
		r.types("wrong\r")
		r.sees("wrong password")
	}
	r.does("login", "too many wrong passwords; try again in")
	r.on("login\r" + password)
	r.sees("too many", `unknown command "open"`)
}

func TestEachWrongPasswordDoublesTheWait(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := &login{now: func() time.Time { return now }}
	var waits []time.Duration
	for range 9 {
		if l.attempt(config.PasswordHash{}, "") {
			t.Fatal("no hash, and yet in")
		}
		waits = append(waits, l.wait())
		now = now.Add(l.wait())
	}
	s := time.Second
	if want := []time.Duration{0, 0, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s}; !slices.Equal(waits, want) {
		t.Errorf("%v, want %v", waits, want)
	}
}

func TestNobodyStaysLoggedIn(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := &login{now: func() time.Time { return now }, ok: true, last: now}
	for _, step := range []struct {
		after time.Duration
		in    bool
	}{{9 * time.Minute, true}, {10 * time.Minute, true}, {10*time.Minute + 1, false}, {time.Second, false}} {
		now = now.Add(step.after)
		if l.touch(idleLimit); l.in() != step.in {
			t.Errorf("a key after %v: in is %v", step.after, l.in())
		}
	}
}

func TestWithoutAConfiguredPasswordNothingIsChanged(t *testing.T) {
	r := newRig(t, func(f *fakes) { os.Remove(filepath.Join(f.dir, "node.yaml")) }, nil)
	r.types("restart dataplane\r")
	r.sees("refused: the console's password is in the configuration", "see: config errors")
	without := strings.Join(slices.DeleteFunc(strings.SplitAfter(nodeFile, "\n"), func(l string) bool { return strings.Contains(l, "password:") }), "")
	r.configure(t, without)
	r.on("reboot")
	r.sees("refused: this node has no console password", "weirctl password")
	if len(r.asked) > 0 {
		t.Errorf("changed: %q", r.asked)
	}
}

func TestShellBehindThePassword(t *testing.T) {
	r := newRig(t, nil, nil)
	r.prompt()
	r.types("login\r")
	r.sees("Password:")
	r.types(password + "\r")
	r.sees("lb1#")
	r.types("shell\r")
	r.sees("exit comes back")
	r.types("echo $((6*7))$TERM; stty size\n")
	r.sees("42vt100", "24 80")
	r.types("sleep 1000\n")
	r.sees("sleep 1000")
	r.types("\x03")
	r.sees("^C")
	r.types("echo inter''rupted\n")
	r.sees("interrupted")
	r.types("exit\n")
	r.atPrompt()
	r.does("shell now", "usage: shell")
	r.does("phases", "hugepages")
}

func TestAShellThatNobodyUsesIsEnded(t *testing.T) {
	r := newRig(t, nil, func(s *session) { s.idle = time.Second })
	r.prompt()
	r.types("login\r")
	r.sees("Password:")
	r.types(password + "\r")
	r.sees("lb1#")
	r.types("shell\r")
	r.onPage()
	if !strings.Contains(r.screen.All(), "exit comes back") {
		t.Error("there was no shell")
	}
	if n := children(t); len(n) > 0 {
		t.Errorf("processes %v are left", n)
	}
	r.types("reboot\r")
	r.sees("Password:")
}

// children are this process's.
func children(t *testing.T) (out []string) {
	all, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		b, _ := os.ReadFile(file) // the thread may have ended
		out = append(out, strings.Fields(string(b))...)
	}
	return out
}
