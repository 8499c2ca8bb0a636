package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/console/terminal"
)

const defaultLines = 100

// showLogs shows or follows one log. Without a source it names the sources.
func showLogs(s *session, ctx context.Context, args []string) error {
	r := &api.LogsRequest{Lines: defaultLines}
	var rest []string
	for _, a := range args {
		if a == "-f" {
			r.Follow = true
		} else {
			rest = append(rest, a)
		}
	}
	switch {
	case len(rest) > 2:
		return errUsage
	case len(rest) == 2:
		n, err := strconv.ParseUint(rest[1], 10, 31)
		if err != nil || n == 0 {
			return errUsage
		}
		r.Lines = uint32(n)
	case len(rest) == 0:
		return s.sources(ctx)
	}
	r.Source = rest[0]
	if r.Follow {
		return s.interruptible(ctx, func(ctx context.Context) error {
			return s.readLog(ctx, r, func(line string) error { _, err := fmt.Fprintln(s, terminal.Clean(line)); return err })
		})
	}
	var lines []string
	err := s.readLog(ctx, r, func(line string) error { lines = append(lines, line); return nil })
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		lines = []string{"nothing is kept of " + r.Source}
	}
	return s.page(lines)
}

func (s *session) sources(ctx context.Context) error {
	f := s.gather(ctx)
	names := []string{"init", "kernel"}
	for _, v := range f.Services {
		names = append(names, v.Name)
	}
	return fmt.Errorf("usage: logs SOURCE [N] [-f]; sources: %s", strings.Join(names, ", "))
}

// readLog calls line for every line until the log ends or ctx does.
func (s *session) readLog(ctx context.Context, r *api.LogsRequest, line func(string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.asker.Machine.Logs(ctx, r)
	for err == nil {
		var l *api.LogLine
		if l, err = stream.Recv(); err == nil {
			err = line(fmt.Sprintf("[%10.3f] %s", l.Seconds, strings.TrimRight(l.Text, "\r\n")))
		}
	}
	switch {
	case errors.Is(err, io.EOF), ctx.Err() != nil:
		return nil
	case status.Code(err) == codes.NotFound:
		return fmt.Errorf("there is no log of %q; logs alone lists the sources", r.Source)
	}
	return s.asker.Explain("init", err)
}

// interruptible runs something that writes as it goes, until it ends or Ctrl-C
// or q is pressed. From a pipe nothing interrupts it.
func (s *session) interruptible(ctx context.Context, run func(context.Context) error) error {
	if !s.Interactive() {
		return run(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	for {
		select {
		case err := <-done:
			return err
		case key, ok := <-s.Keys():
			if ok {
				s.login.touch(s.idle)
				if key != keyCtrlC && key != 'q' {
					continue
				}
			}
			cancel()
			return <-done
		}
	}
}

func showCrashes(s *session, ctx context.Context, args []string) error {
	if len(args) > 1 {
		return errUsage
	}
	f := s.gather(ctx)
	if f.Boot == nil {
		return f.BootErr
	}
	all := f.Boot.Crashes
	if len(all) == 0 {
		return s.page([]string{"no crash is recorded"})
	}
	if len(args) == 0 {
		rows := [][]string{{"N", "TIME", "RECORD"}}
		for i, c := range all {
			rows = append(rows, []string{fmt.Sprint(i + 1), dash(c.Time), c.Name})
		}
		return s.page(append(table(rows), "", "crashes N shows the end of one"))
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 || n > len(all) {
		return fmt.Errorf("usage: crashes [N]; there are %d", len(all))
	}
	c := all[n-1]
	return s.page(append([]string{c.Name + "  " + c.Time}, strings.Split(strings.TrimRight(c.Text, "\n"), "\n")...))
}
