// Command weir-test runs the project's tests in the order in which they are
// cheap, shows progress, and ends with one line: "N passed, N failed", and
// ", N skipped" if any were. It exits with 0 only if none failed and, with
// -no-skips, none was skipped.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// labPackage brings up the namespace lab, so it runs alone.
const labPackage = "weir/qemu/labtest"

func main() {
	quick := flag.Bool("quick", false, "leave out the lab and long simulations")
	noSkips := flag.Bool("no-skips", false, "fail if a test was skipped")
	race := flag.Bool("race", false, "run unit tests under the race detector")
	flag.Parse()
	if err := run(*quick, *noSkips, *race); err != nil {
		fmt.Fprintf(os.Stderr, "weir-test: %v\n", err)
		os.Exit(1)
	}
}

func run(quick, noSkips, race bool) error {
	total := &tally{out: os.Stdout}
	total.step("gofmt", formatted)
	packages, err := list()
	if err != nil {
		return err
	}
	total.step("go vet", func() error { return quiet("go", append([]string{"vet"}, packages...)...) })
	args := []string{"-p", "2", "-timeout", "10m"}
	if quick {
		args = append(args, "-short")
	} else {
		args = append(args, "-count=1") // some draw fresh seeds: what passed before proves nothing for them
	}
	if race {
		args = append(args, "-race")
	}
	var units []string
	for _, p := range packages {
		if p != labPackage {
			units = append(units, p)
		}
	}
	if err := total.goTest(false, append(args, units...)); err != nil {
		return err
	}
	if !quick {
		if err := total.goTest(true, []string{"-count=1", "-p", "1", "-timeout", "45m", labPackage}); err != nil {
			return err
		}
	}
	fmt.Println(total.line())
	if total.failed > 0 {
		return fmt.Errorf("failed: %s", strings.Join(total.failures, ", "))
	}
	if noSkips && total.skipped > 0 {
		return fmt.Errorf("%d tests were skipped: install what they lack (make deps)", total.skipped)
	}
	return nil
}

// list names the packages of the tree.
func list() ([]string, error) {
	out, err := exec.Command("go", "list", "./dataplane/...", "./services/...", "./qemu/...").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w: %s", err, bytes.TrimSpace(out))
	}
	return strings.Fields(string(out)), nil
}

func formatted() error {
	out, err := exec.Command("gofmt", "-l", "dataplane", "services", "qemu").CombinedOutput()
	if err != nil {
		return fmt.Errorf("gofmt: %w: %s", err, bytes.TrimSpace(out))
	}
	if len(out) > 0 {
		return fmt.Errorf("run make fmt: %s", strings.Join(strings.Fields(string(out)), " "))
	}
	return nil
}

func quiet(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}
