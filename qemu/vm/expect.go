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

// Console is a conversation on a serial console.
type Console struct {
	name string
	conn net.Conn
	gone chan struct{} // closed when nothing more can come

	mu     sync.Mutex
	screen stripper
	text   string // come, not yet matched
	all    string // everything that came, for errors
}

// ErrEnded is why nothing more will appear on a console.
var ErrEnded = errors.New("the machine has been switched off")

// OpenConsole connects to a serial socket. What it showed before, from the given
// byte of its log on, comes first; of what it shows at the very moment of
// connecting a few characters may come twice. QEMU serves one connection at a
// time: close it when done.
//
// The log alone is no source while somebody is connected: QEMU 7.2 writes a
// character to it once more whenever the connection does not take it at once.
func OpenConsole(socket, log string, from int64) (*Console, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("connect to the serial console: %w", err)
	}
	before, err := os.ReadFile(log)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("read the serial log: %w", err)
	}
	c := &Console{name: socket, conn: conn, gone: make(chan struct{})}
	c.came(before[min(from, int64(len(before))):])
	go c.listen()
	return c, nil
}

// listen takes what comes: output that nobody reads would stop the machine.
func (c *Console) listen() {
	defer close(c.gone)
	buf := make([]byte, 16<<10)
	for {
		n, err := c.conn.Read(buf)
		c.came(buf[:n])
		if err != nil {
			return
		}
	}
}

func (c *Console) came(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := c.screen.strip(b)
	c.text += text
	c.all += text
}

// Close ends the conversation.
func (c *Console) Close() error {
	err := c.conn.Close()
	<-c.gone
	return err
}

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
func (c *Console) Read(quiet, within time.Duration) string {
	deadline, last, length := time.Now().Add(within), time.Now(), 0
	for time.Since(last) < quiet && time.Now().Before(deadline) {
		time.Sleep(poll)
		c.mu.Lock()
		if len(c.text) != length {
			last, length = time.Now(), len(c.text)
		}
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	text := c.text
	c.text = ""
	return text
}

// poll is between two looks at what has come.
const poll = 10 * time.Millisecond

// await polls until find has found something, and returns its groups.
func (c *Console) await(within time.Duration, what string, find func(string) []int) ([]string, error) {
	for deadline := time.Now().Add(within); ; time.Sleep(poll) {
		over := c.over() // before looking: then nothing can be missed
		if groups := c.take(find); groups != nil {
			return groups, nil
		}
		switch {
		case over:
			return nil, fmt.Errorf("waited for %s on the console of %s: %w; the end of it:\n%s", what, c.name, ErrEnded, c.tail())
		case time.Now().After(deadline):
			return nil, fmt.Errorf("waited for %s on the console of %s: not within %v; the end of it:\n%s", what, c.name, within, c.tail())
		}
	}
}

// take consumes the text up to the end of what find finds.
func (c *Console) take(find func(string) []int) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := find(c.text)
	if at == nil {
		return nil
	}
	groups := make([]string, 0, len(at)/2)
	for i := 0; i < len(at); i += 2 {
		if at[i] < 0 {
			groups = append(groups, "")
			continue
		}
		groups = append(groups, c.text[at[i]:at[i+1]])
	}
	c.text = c.text[at[1]:]
	return groups
}

func (c *Console) tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return lastLines(c.all, tailLines)
}

func (c *Console) over() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}
