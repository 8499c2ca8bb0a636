package vm

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// desk is a console without a machine: the test is what writes to it and reads
// what is typed.
type desk struct {
	*Console
	machine net.Conn
	typed   chan string
}

func newDesk(t *testing.T, before string) *desk {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "serial.log")
	const earlier = "login: of an earlier life\n"
	if err := os.WriteFile(log, []byte(earlier+before), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &desk{typed: make(chan string, 10)}
	d.Console, err = OpenConsole(filepath.Join(dir, "s"), log, int64(len(earlier)))
	if err != nil {
		t.Fatal(err)
	}
	if d.machine, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for lines := bufio.NewReader(d.machine); ; {
			line, err := lines.ReadString('\r')
			if err != nil {
				return
			}
			d.typed <- line
		}
	}()
	t.Cleanup(func() { d.machine.Close(); d.Close() })
	return d
}

// says has the machine write to its console.
func (d *desk) says(text string) { io.WriteString(d.machine, text) }

func TestTextIsMatchedOnceAndInOrder(t *testing.T) {
	d := newDesk(t, "booting\r\n")
	d.says("login: \x1b[1;32mok\x1b[0m user 17\n")
	if err := d.Expect(time.Second, "booting\n"); err != nil {
		t.Fatal(err)
	}
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
			d.says(piece)
		}
	}()
	if err := d.Expect(5*time.Second, "ready\n"); err != nil {
		t.Fatal(err)
	}
}

func TestAFailureShowsTheEndOfTheConsole(t *testing.T) {
	d := newDesk(t, "")
	d.says("Kernel panic\n")
	err := d.Expect(20*time.Millisecond, "ready")
	if err == nil || !strings.Contains(err.Error(), "Kernel panic") || !strings.Contains(err.Error(), `"ready"`) {
		t.Fatalf("got %v", err)
	}
}

func TestNobodyWaitsForAMachineThatIsOff(t *testing.T) {
	d := newDesk(t, "")
	d.machine.Close()
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
