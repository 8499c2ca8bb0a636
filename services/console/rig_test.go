package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/bcrypt"

	"weir/services/console/facts"
	"weir/services/console/terminal"
	"weir/services/console/vt100"
)

const password = "open sesame"

// rig is a console on a pseudo terminal, and who sits at it.
type rig struct {
	*fakes
	t      *testing.T
	keys   *os.File
	screen *vt100.Screen
	s      *session
	ended  chan error
}

// withPassword is nodeFile with the hash of the password.
func withPassword(t *testing.T) string {
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(nodeFile, "$2a$04$HASH", string(h), 1)
}

// newRig starts a console that has shown its first page.
func newRig(t *testing.T, prepare func(*fakes), tune func(*session)) *rig {
	t.Helper()
	r := &rig{fakes: startFakes(t), t: t, screen: vt100.New(), ended: make(chan error, 1)}
	r.configure(t, withPassword(t))
	if prepare != nil {
		prepare(r.fakes)
	}
	master, line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	r.keys = master
	vt, err := terminal.New(line, line)
	if err != nil {
		t.Fatal(err)
	}
	asker, err := facts.New(r.dir, "testdata/root")
	if err != nil {
		t.Fatal(err)
	}
	r.s = newSession(vt, asker)
	r.s.refresh, r.s.network = 20*time.Millisecond, goodNetwork{}
	if tune != nil {
		tune(r.s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		var b [4096]byte
		for {
			n, err := master.Read(b[:])
			r.screen.Write(b[:n])
			if err != nil {
				return
			}
		}
	}()
	go func() { r.ended <- r.s.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-r.ended
		vt.Close()
		asker.Close()
		master.Close()
		if u := r.screen.Unknown(); len(u) > 0 {
			t.Errorf("a VT100 does not know %q", u)
		}
	})
	r.sees("Type a command", "up 12 min")
	return r
}

// deadline is how long anything may take, under a loaded machine.
const deadline = 20 * time.Second

// sees waits until the screen shows all of these.
func (r *rig) sees(want ...string) {
	r.t.Helper()
	end := time.Now().Add(deadline)
	for {
		text := r.screen.Text()
		missing := ""
		for _, w := range want {
			if !strings.Contains(text, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("the screen never showed %q:\n%s", missing, text)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// types types.
func (r *rig) types(text string) {
	r.t.Helper()
	if _, err := r.keys.WriteString(text); err != nil {
		r.t.Fatal(err)
	}
}

// does runs a command and waits until all of these are on the screen and the
// prompt is back.
func (r *rig) does(line string, want ...string) {
	r.t.Helper()
	r.on(line)
	r.sees(want...)
	r.atPrompt()
}

// atPrompt waits for the prompt below everything else.
func (r *rig) atPrompt() {
	r.t.Helper()
	end := time.Now().Add(deadline)
	for {
		text := strings.TrimRight(r.screen.Text(), "\n")
		last := text[strings.LastIndexByte(text, '\n')+1:]
		switch {
		case last == "lb1>", last == "lb1#":
			return
		case strings.HasPrefix(last, "--more--"):
			r.types(" ")
		}
		if time.Now().After(end) {
			r.t.Fatalf("there is no prompt:\n%s", text)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// onPage waits for the status page, which has the whole screen.
func (r *rig) onPage() {
	r.t.Helper()
	end := time.Now().Add(deadline)
	for {
		lines := strings.Split(r.screen.Text(), "\n")
		if strings.HasPrefix(lines[0], " Weir") && strings.HasPrefix(lines[terminal.Rows-1], " Type a command") {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("there is no status page:\n%s", r.screen.Text())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// prompt leaves the status page.
func (r *rig) prompt() {
	r.t.Helper()
	r.types("\r")
	r.atPrompt()
}

// on types a command on an empty screen.
func (r *rig) on(line string) {
	r.t.Helper()
	r.types("\x0c") // Ctrl-L
	end := time.Now().Add(deadline)
	for len(strings.Fields(r.screen.Text())) != 1 {
		if time.Now().After(end) {
			r.t.Fatalf("the screen is not empty:\n%s", r.screen.Text())
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.types(line + "\r")
}
