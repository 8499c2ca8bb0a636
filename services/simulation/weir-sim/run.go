package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"weir/services/simulation"
)

// result is what a worker says of one seed, on one line.
type result struct {
	seed   uint64
	frames uint64
	broken string // the rule, if one was
}

func (r result) String() string {
	return fmt.Sprintf("%d %d %s", r.seed, r.frames, strings.ReplaceAll(r.broken, "\n", "; "))
}

func parseResult(line string) (r result, err error) {
	parts := strings.SplitN(line, " ", 3)
	if len(parts) != 3 {
		return r, fmt.Errorf("a worker said %q", line)
	}
	r.seed, err = strconv.ParseUint(parts[0], 10, 64)
	if err == nil {
		r.frames, err = strconv.ParseUint(parts[1], 10, 64)
	}
	r.broken = parts[2]
	return r, err
}

// work runs the seeds that come in, one per line.
func work(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		seed, err := strconv.ParseUint(lines.Text(), 10, 64)
		if err != nil {
			return fmt.Errorf("seed: %w", err)
		}
		r := result{seed: seed}
		o := simulation.NewOrdeal(seed)
		c, err := o.Build(seed)
		if err != nil {
			return err
		}
		if err := o.Run(c); err != nil {
			r.broken = err.Error()
		}
		r.frames = c.Sim.Trace.Frames()
		c.Close()
		fmt.Fprintln(out, r)
	}
	return lines.Err()
}

// show runs one seed and tells its story.
func show(seed uint64, capture string) (broken int, err error) {
	o := simulation.NewOrdeal(seed)
	fmt.Println(o)
	c, err := o.Build(seed)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if capture != "" {
		f, err := os.Create(capture)
		if err != nil {
			return 0, fmt.Errorf("file for the capture: %w", err)
		}
		c.Sim.Trace.Capture(f)
		defer func() { err = errors.Join(err, c.Sim.Trace.Err(), f.Close()) }()
	}
	failure := o.Run(c)
	for _, line := range c.Sim.Lines() {
		fmt.Println(line)
	}
	fmt.Printf("%d frames, %v of virtual time, digest %s\n", c.Sim.Trace.Frames(), c.Sim.Elapsed(), c.Sim.Trace.Sum())
	if failure != nil {
		fmt.Println("broken:", failure)
		return 1, nil
	}
	return 0, nil
}
