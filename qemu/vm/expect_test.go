package vm

import (
	"bufio"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// desk is a console without a machine: the test writes the log and reads what
// is typed.
type desk struct {
	*Console
	log   *os.File
	typed chan string
	off   chan struct{}
}

func newDesk(t *testing.T, before string) *desk {
	t.Helper()
	dir := t.TempDir()
	log, err := os.OpenFile(filepath.Join(dir, "serial.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	log.WriteString(before)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{log: log, typed: make(chan string, 10), off: make(chan struct{})}
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for lines := bufio.NewReader(conn); ; {
			line, err := lines.ReadString('\r')
			if err != nil {
				return
			}
			d.typed <- line
		}
	}()
	d.Console, err = OpenConsole(filepath.Join(dir, "s"), log.Name(), int64(len(before)))
	if err != nil {
		t.Fatal(err)
	}
	d.ended = d.off
	t.Cleanup(func() { d.Close(); l.Close(); log.Close() })
	return d
}

func TestTextIsMatchedOnceAndInOrder(t *testing.T) {
	d := newDesk(t, "login: of an earlier life\n")
	d.log.WriteString("booting\r\nlogin: \x1b[1;32mok\x1b[0m user 17\n")
	if err := d.Expect(time.Second, "login: ok"); err != nil {
		t.Fatal(err)
	}
	groups, err := d.ExpectMatch(time.Second, regexp.MustCompile(`user (\d+)`))
	if err != nil || groups[1] != "17" {
		t.Fatalf("got %q, %v", groups, err)
	}
	if err := d.Expect(20*time.Millisecond, "login"); err == nil {
		t.Fatal("the same text was matched twice")
	}
}

func TestTextThatComesLaterAndInPiecesIsFound(t *testing.T) {
	d := newDesk(t, "")
	go func() {
		for _, piece := range []string{"rea", "\x1b[", "2Jdy\n"} {
			time.Sleep(20 * time.Millisecond)
			d.log.WriteString(piece)
		}
	}()
	if err := d.Expect(5*time.Second, "ready\n"); err != nil {
		t.Fatal(err)
	}
}

func TestAFailureShowsTheEndOfTheConsole(t *testing.T) {
	d := newDesk(t, "")
	d.log.WriteString("Kernel panic\n")
	err := d.Expect(20*time.Millisecond, "ready")
	if err == nil || !strings.Contains(err.Error(), "Kernel panic") || !strings.Contains(err.Error(), `"ready"`) {
		t.Fatalf("got %v", err)
	}
}

func TestNobodyWaitsForAMachineThatIsOff(t *testing.T) {
	d := newDesk(t, "")
	close(d.off)
	started := time.Now()
	if err := d.Expect(time.Minute, "ready"); !errors.Is(err, ErrEnded) {
		t.Fatalf("got %v", err)
	}
	if time.Since(started) > 10*time.Second {
		t.Error("it waited nevertheless")
	}
}

func TestWhatIsSentIsTyped(t *testing.T) {
	d := newDesk(t, "")
	if err := d.Send("status\r"); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-d.typed:
		if got != "status\r" {
			t.Errorf("%q was typed", got)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("nothing was typed")
	}
}
