package vm

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// tailLines is how much of the console an error shows.
const tailLines = 25

// Console is a conversation on a serial console. It reads the log, which holds
// everything from the beginning, and writes to the socket.
type Console struct {
	name   string
	conn   net.Conn
	log    *os.File
	ended  <-chan struct{} // nil: not known
	screen stripper

	mu   sync.Mutex
	text string // read, not yet matched
	all  string // everything read, for errors
}

// ErrEnded is why nothing more will appear on a console.
var ErrEnded = errors.New("the machine has been switched off")

// OpenConsole connects to a serial socket whose output is also in a log file,
// to read from the given byte of the log on. QEMU serves one connection at a
// time: close it when done.
func OpenConsole(socket, log string, from int64) (*Console, error) {
	f, err := os.Open(log)
	if err != nil {
		return nil, fmt.Errorf("open the serial log: %w", err)
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		f.Close()
		return nil, fmt.Errorf("open the serial log: %w", err)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("connect to the serial console: %w", err)
	}
	// Output that nobody reads would stop the machine.
	go io.Copy(io.Discard, conn)
	return &Console{name: socket, conn: conn, log: f}, nil
}

// Close ends the conversation.
func (c *Console) Close() error { return errors.Join(c.conn.Close(), c.log.Close()) }

// Send types text. End a command with "\r", which is what the return key sends.
func (c *Console) Send(text string) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return fmt.Errorf("type %q on the console of %s: %w", text, c.name, err)
	}
	if _, err := io.WriteString(c.conn, text); err != nil {
		return fmt.Errorf("type %q on the console of %s: %w", text, c.name, err)
	}
	return nil
}

// Expect waits for text. Each byte of output is matched once: the next Expect
// begins after this text. Escape sequences and carriage returns are not seen.
func (c *Console) Expect(within time.Duration, text string) error {
	_, err := c.await(within, fmt.Sprintf("%q", text), func(s string) []int {
		if i := strings.Index(s, text); i >= 0 {
			return []int{i, i + len(text)}
		}
		return nil
	})
	return err
}

// ExpectMatch waits for a match of a regular expression and returns it with
// its groups.
func (c *Console) ExpectMatch(within time.Duration, re *regexp.Regexp) ([]string, error) {
	return c.await(within, "a match of "+re.String(), re.FindStringSubmatchIndex)
}

// Read waits until nothing new has come for the given time and returns what
// has come since the last match, as it is, with escape sequences left out.
func (c *Console) Read(quiet, within time.Duration) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	deadline, last := time.Now().Add(within), time.Now()
	for time.Since(last) < quiet && time.Now().Before(deadline) {
		n, err := c.more()
		if err != nil {
			return "", err
		}
		if n > 0 {
			last = time.Now()
			continue
		}
		time.Sleep(10 * time.Millisecond)
	}
	text := c.text
	c.text = ""
	return text, nil
}

// await polls until find has found something, and returns its groups.
func (c *Console) await(within time.Duration, what string, find func(string) []int) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	deadline := time.Now().Add(within)
	for {
		over := c.over() // before reading: then nothing can be missed
		n, err := c.more()
		if err != nil {
			return nil, err
		}
		if at := find(c.text); at != nil {
			groups := make([]string, 0, len(at)/2)
			for i := 0; i < len(at); i += 2 {
				if at[i] < 0 {
					groups = append(groups, "")
					continue
				}
				groups = append(groups, c.text[at[i]:at[i+1]])
			}
			c.text = c.text[at[1]:]
			return groups, nil
		}
		switch {
		case n > 0:
			continue
		case over:
			return nil, fmt.Errorf("waited for %s on the console of %s: %w; the end of it:\n%s", what, c.name, ErrEnded, lastLines(c.all, tailLines))
		case time.Now().After(deadline):
			return nil, fmt.Errorf("waited for %s on the console of %s: not within %v; the end of it:\n%s", what, c.name, within, lastLines(c.all, tailLines))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *Console) over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// more reads what the log has more, and returns how many bytes that was.
func (c *Console) more() (int, error) {
	buf := make([]byte, 16<<10)
	n, err := c.log.Read(buf)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read the serial log of %s: %w", c.name, err)
	}
	text := c.screen.strip(buf[:n])
	c.text += text
	c.all += text
	return n, nil
}
