// Package manual runs the commands of the documentation, so that what it says
// can be done can be done.
package manual

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Page runs every indented command of a page: make targets as far as make knows
// them, go test as far as it finds the test, what runs until it is stopped for
// two seconds, and all others to a good end. Only the trace, whose connection
// does not exist, ends with "not found". It returns how many there were, and
// one error per command that does not work.
func Page(root, page string) (commands int, failed []error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return 0, []error{err}
	}
	for _, command := range commandsOf(string(text)) {
		commands++
		if err := run(root, command); err != nil {
			failed = append(failed, fmt.Errorf("%s: %s: %w", filepath.Base(page), command, err))
		}
	}
	return commands, failed
}

// Commands are the indented commands of a page, for who runs them elsewhere.
func Commands(page string) ([]string, error) {
	text, err := os.ReadFile(page)
	return commandsOf(string(text)), err
}

// commandsOf are the lines of indented blocks, without comments.
func commandsOf(markdown string) (list []string) {
	fenced := false
	for _, line := range strings.Split(markdown, "\n") {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		command, _, _ := strings.Cut(line, " #")
		if rest, ok := strings.CutPrefix(command, "    "); ok && !fenced && strings.TrimSpace(rest) != "" {
			list = append(list, strings.TrimSpace(rest))
		}
	}
	return list
}

func run(root, command string) error {
	endless := false
	want := 0
	switch {
	case strings.Contains(command, "make "):
		command = strings.Replace(command, "make ", "make -n ", 1)
	case strings.Contains(command, "go test "):
		command = strings.Replace(command, "go test ", "go test -list . ", 1)
	case strings.Contains(command, "tcpdump "), strings.Contains(command, " nc -lk"),
		strings.Contains(command, "weir-lab load"), strings.Contains(command, "weir-lab console"), strings.Contains(command, "tail -f"):
		endless = true
	case strings.Contains(command, "weirctl --lab trace"):
		want = 3
	}
	limit := 2 * time.Minute
	if endless {
		limit = 2 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-c", "exec "+command)
	if strings.Contains(command, "=") || strings.ContainsAny(command, "|;") {
		c = exec.CommandContext(ctx, "bash", "-c", command)
	}
	if endless {
		// Nobody types anything, and nobody hangs up.
		in, hold, err := os.Pipe()
		if err != nil {
			return err
		}
		defer in.Close()
		defer hold.Close()
		c.Stdin = in
	}
	c.Dir = root
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 5 * time.Second
	out, err := c.CombinedOutput()
	if endless && ctx.Err() != nil {
		return nil
	}
	if code := c.ProcessState.ExitCode(); code != want {
		return errors.Join(err, errors.New(strings.TrimSpace(string(out))))
	}
	return nil
}
