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

// These bring up the namespace lab and machines with the image, so they run
// alone. Tests that take long have a name of their own.
const (
	labPackage     = "weir/qemu/labtest"
	bootPackage    = "weir/qemu/boottest"
	clusterPackage = "weir/qemu/qemutest"
	emptyPackage   = "weir/qemu/pxetest"
	longTests      = "^TestLong"
	// This one looks into the image, which "make check" does not build.
	imagePackage = "weir/image/imagetest"
)

func main() {
	quick := flag.Bool("quick", false, "leave out the lab, the image and long simulations")
	long := flag.Bool("long", false, "only what takes too long otherwise: hours")
	noSkips := flag.Bool("no-skips", false, "fail if a test was skipped")
	race := flag.Bool("race", false, "run unit tests under the race detector")
	flag.Parse()
	all := run
	if *long {
		all = runLong
	}
	total := &tally{out: os.Stdout}
	if err := all(total, options{quick: *quick, race: *race}); err != nil {
		fmt.Fprintf(os.Stderr, "weir-test: %v\n", err)
		os.Exit(1)
	}
	if err := total.verdict(*noSkips); err != nil {
		fmt.Fprintf(os.Stderr, "weir-test: %v\n", err)
		os.Exit(1)
	}
}

type options struct{ quick, race bool }

func run(total *tally, o options) error {
	total.step("gofmt", formatted)
	packages, err := list()
	if err != nil {
		return err
	}
	total.step("go vet", func() error { return quiet("go", append([]string{"vet"}, packages...)...) })
	args := []string{"-p", "2", "-timeout", "10m", "-skip", longTests}
	if o.quick {
		args = append(args, "-short")
	} else {
		args = append(args, "-count=1") // some draw fresh seeds: what passed before proves nothing for them
	}
	if o.race {
		args = append(args, "-race")
	}
	for _, p := range packages {
		switch {
		case p == labPackage, p == bootPackage, p == clusterPackage, p == emptyPackage, o.quick && p == imagePackage:
		default:
			args = append(args, p)
		}
	}
	if err := total.goTest(false, args); err != nil {
		return err
	}
	if o.quick {
		return nil
	}
	for _, args := range [][]string{alone("45m", labPackage), alone("30m", clusterPackage), alone("20m", "-skip", longTests, emptyPackage), alone("45m", "-skip", longTests, bootPackage)} {
		if err := total.goTest(true, args); err != nil {
			return err
		}
	}
	return nil
}

func runLong(total *tally, _ options) error {
	packages, err := list()
	if err != nil {
		return err
	}
	return total.goTest(true, alone("12h", append([]string{"-run", longTests}, packages...)...))
}

// alone are the arguments for a package beside which nothing runs.
func alone(timeout string, more ...string) []string {
	return append([]string{"-count=1", "-p", "1", "-timeout", timeout}, more...)
}

// verdict prints the last line, and is an error unless all is well.
func (t *tally) verdict(noSkips bool) error {
	fmt.Fprintln(t.out, t.line())
	if t.failed > 0 {
		return fmt.Errorf("failed: %s", strings.Join(t.failures, ", "))
	}
	if noSkips && t.skipped > 0 {
		return fmt.Errorf("%d tests were skipped: install what they lack (make deps)", t.skipped)
	}
	return nil
}

// list names the packages of the tree.
func list() ([]string, error) {
	out, err := exec.Command("go", "list", "./dataplane/...", "./services/...", "./image/...", "./init/...", "./qemu/...", "./firmware/...", "./provisioning/...").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w: %s", err, bytes.TrimSpace(out))
	}
	return strings.Fields(string(out)), nil
}

func formatted() error {
	out, err := exec.Command("gofmt", "-l", "dataplane", "services", "image", "init", "qemu", "firmware", "provisioning").CombinedOutput()
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
