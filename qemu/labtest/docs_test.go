package labtest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Every indented command in the README and in docs/ is run: make targets as far
// as make knows them, go test as far as it finds the test, what runs until it is
// stopped for two seconds, and all others to a good end. Only the trace, whose
// connection does not exist, ends with "not found".
func TestEveryCommandInTheDocumentationWorks(t *testing.T) {
	root := filepath.Join("..", "..")
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, page := range append(pages, filepath.Join(root, "README.md"), filepath.Join(root, "dataplane", "bench", "README.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range commandsOf(string(text)) {
			commands++
			if err := runDocumented(root, command); err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(page), command, err)
			}
		}
	}
	if commands < 10 {
		t.Errorf("found only %d commands", commands)
	}
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

func runDocumented(root, command string) error {
	endless := false
	want := 0
	switch {
	case strings.Contains(command, "make "):
		command = strings.Replace(command, "make ", "make -n ", 1)
	case strings.Contains(command, "go test "):
		command = strings.Replace(command, "go test ", "go test -list . ", 1)
	case strings.Contains(command, "tcpdump "), strings.Contains(command, " nc -lk"), strings.Contains(command, "weir-lab load"):
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
