package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// event is one line of "go test -json" (see "go doc test2json").
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64 // seconds
	Output  string

	ImportPath  string // of build-output
	FailedBuild string
}

// tally counts tests and subtests, each as one.
type tally struct {
	out                     io.Writer
	passed, failed, skipped int
	failures                []string
}

func (t *tally) line() string {
	s := fmt.Sprintf("%d passed, %d failed", t.passed, t.failed)
	if t.skipped > 0 {
		s += fmt.Sprintf(", %d skipped", t.skipped)
	}
	return s
}

// step counts a check that is no Go test.
func (t *tally) step(name string, check func() error) {
	if err := check(); err != nil {
		t.failed++
		t.failures = append(t.failures, name)
		fmt.Fprintf(t.out, "FAIL %s: %v\n", name, err)
		return
	}
	t.passed++
	fmt.Fprintf(t.out, "ok   %s\n", name)
}

// goTest runs "go test -json" and counts what it reports. each shows every
// top-level test as it ends, else there is one line per package.
func (t *tally) goTest(each bool, args []string) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	failedBefore := t.failed
	if err := t.read(stdout, each); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil && t.failed == failedBefore {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return fmt.Errorf("run go test: %w", err)
		}
		t.fail("go test", "", fmt.Sprintf("it ended with %v and named no test\n", err))
	}
	return nil
}

func (t *tally) read(r io.Reader, each bool) error {
	output := map[string][]string{} // by package and test
	inPackage := map[string]int{}
	failedIn := map[string]int{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(t.out, lines.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "build-output":
			output[e.ImportPath] = append(output[e.ImportPath], e.Output)
		case "output":
			output[key] = append(output[key], e.Output)
		case "pass", "fail", "skip":
			if e.Test == "" {
				t.packageEnd(e, inPackage[e.Package], failedIn[e.Package], output)
				continue
			}
			inPackage[e.Package]++
			switch e.Action {
			case "pass":
				t.passed++
			case "skip":
				t.skipped++
				fmt.Fprintf(t.out, "SKIP %s: %s", key, reason(output[key]))
			case "fail":
				failedIn[e.Package]++
				t.fail(e.Package, e.Test, strings.Join(output[key], ""))
			}
			if each && e.Action == "pass" && !strings.Contains(e.Test, "/") {
				fmt.Fprintf(t.out, "ok   %s (%.1f s)\n", sentence(e.Test), e.Elapsed)
			}
			delete(output, key)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read go test's report: %w", err)
	}
	return nil
}

// packageEnd reports a package; one that failed without a failed test (it did
// not build, or it panicked, or TestMain gave up) counts as one failure.
func (t *tally) packageEnd(e event, tests, failed int, output map[string][]string) {
	switch {
	case e.Action == "fail" && failed == 0:
		// The tests that were running when it died have not ended: show them all.
		var all strings.Builder
		all.WriteString(strings.Join(output[e.FailedBuild], ""))
		for key, lines := range output {
			if strings.HasPrefix(key, e.Package+" ") {
				all.WriteString(strings.Join(lines, ""))
			}
		}
		t.fail(e.Package, "", all.String())
	case e.Action == "fail":
		fmt.Fprintf(t.out, "FAIL %s: %d of %d tests\n", e.Package, failed, tests)
	case tests > 0:
		fmt.Fprintf(t.out, "ok   %s: %d tests (%.1f s)\n", e.Package, tests, e.Elapsed)
	}
}

func (t *tally) fail(pkg, test, output string) {
	t.failed++
	name := strings.TrimSpace(pkg + " " + test)
	t.failures = append(t.failures, name)
	const most = 20_000 // bytes of output worth showing
	if len(output) > most {
		output = output[:most/2] + "\n[…]\n" + output[len(output)-most/2:]
	}
	fmt.Fprintf(t.out, "FAIL %s\n%s", name, output)
}

// reason is the line in which a test said why it was skipped.
func reason(output []string) string {
	for _, line := range output {
		if !strings.HasPrefix(strings.TrimSpace(line), "===") && !strings.HasPrefix(strings.TrimSpace(line), "---") {
			return line
		}
	}
	return "no reason given\n"
}

// sentence turns a test's name into words: TestAClosedPort… → "a closed port …".
func sentence(test string) string {
	var b strings.Builder
	for i, r := range strings.TrimPrefix(test, "Test") {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}
