package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"weir/services/capture"
	"weir/services/console/terminal"
)

const (
	captureBytes = 16 << 20 // of a file: it lies in memory
	captureSnap  = 256
	// shownAhead is how many lines may wait for a slow terminal.
	shownAhead = 100
)

// captureFrames shows and records what crosses a NIC: the dataplane's word for
// north and south, the kernel's for control.
func captureFrames(s *session, ctx context.Context, args []string) error {
	if len(args) == 0 || !slices.Contains([]string{"north", "south", "control"}, args[0]) {
		return errUsage
	}
	side, count, rest := args[0], 0, slices.Clone(args[1:])
	if i := slices.Index(rest, "-c"); i >= 0 {
		if i == len(rest)-1 {
			return errUsage
		}
		n, err := strconv.Atoi(rest[i+1])
		if err != nil || n < 1 {
			return errUsage
		}
		count, rest = n, slices.Delete(rest, i, i+2)
	}
	filter, err := capture.ParseFilter(rest)
	if err != nil {
		return err
	}
	from := s.dataplaneFrames
	if side == "control" {
		from = s.controlFrames
	}
	path := filepath.Join(s.asker.RunDir(), "capture-"+side+".pcapng")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("make the capture file: %w", err)
	}
	defer file.Close()
	lines := s.printer()
	r := &capture.Recorder{Place: side, Frames: count, Bytes: captureBytes, Show: lines.add}
	if err := r.Start(file); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = s.interruptible(ctx, func(ctx context.Context) error { return from(ctx, side, filter, r) })
	skipped := lines.end()
	if err != nil {
		return err
	}
	summary := r.Summary() + " in " + path
	if skipped > 0 {
		summary += fmt.Sprintf("; %d not shown: the terminal is too slow", skipped)
	}
	return s.page([]string{summary})
}

// dataplaneFrames records what the dataplane sends, until ctx ends.
func (s *session) dataplaneFrames(ctx context.Context, side string, f capture.Filter, r *capture.Recorder) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.asker.Dataplane.Capture(ctx, capture.Request(side, f, captureSnap))
	if err != nil {
		return s.asker.Explain("dataplane", err)
	}
	for {
		m, err := stream.Recv()
		switch {
		case ctx.Err() != nil, errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return s.asker.Explain("dataplane", err)
		}
		if enough, err := r.Take(m); enough || err != nil {
			return err
		}
	}
}

// printer writes lines as fast as the terminal takes them, and drops the others:
// the capture must not wait for it.
type printer struct {
	lines   chan string
	done    chan struct{}
	skipped int
}

func (s *session) printer() *printer {
	p := &printer{lines: make(chan string, shownAhead), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for l := range p.lines {
			fmt.Fprintln(s, terminal.Cut(terminal.Clean(l), terminal.Columns-1))
		}
	}()
	return p
}

func (p *printer) add(line string) {
	select {
	case p.lines <- line:
	default:
		p.skipped++
	}
}

// end waits for what is to be printed still; it is how many lines were not.
func (p *printer) end() int {
	close(p.lines)
	<-p.done
	return p.skipped
}

// controlPoll is how often an idle capture looks whether it is to end.
const controlPoll = 200 * time.Millisecond

// controlFrames records what the kernel sees on the control NIC.
func (s *session) controlFrames(ctx context.Context, _ string, f capture.Filter, r *capture.Recorder) error {
	facts := s.asker.Gather(ctx)
	for _, n := range facts.Boot.GetNics() {
		if n.Role != "control" {
			continue
		}
		l := facts.Link(n.Mac)
		if l == nil {
			return fmt.Errorf("the kernel has no interface for the control NIC %s; see: nics", n.Mac)
		}
		return kernelFrames(ctx, l.Name, f, r)
	}
	return errors.New("this node has no control NIC; see: nics")
}
