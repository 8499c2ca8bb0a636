package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/creack/pty"

	"weir/services/console/terminal"
)

// shells are where one may be: the image's first.
var shells = []string{"/bin/sh", "/bbin/gosh"}

// shellEnd is what a shell may take to end after its terminal is gone.
const shellEnd = 2 * time.Second

// shell runs one on a terminal of its own: so this one keeps its modes, no end of
// a shell can hang it up, and a shell that nobody uses is ended.
func shell(s *session, ctx context.Context, args []string) error {
	if len(args) > 0 {
		return errUsage
	}
	if !s.Interactive() {
		return errors.New("a shell needs a terminal")
	}
	path := ""
	for _, p := range shells {
		if _, err := os.Stat(p); err == nil && path == "" {
			path = p
		}
	}
	if path == "" {
		return fmt.Errorf("there is no shell: neither of %v exists", shells)
	}
	c := exec.Command(path)
	c.Env, c.Dir = []string{"PATH=/bin:/bbin:/sbin:/usr/bin:/usr/sbin", "HOME=/", "TERM=vt100", "PS1=# "}, "/"
	line, err := pty.StartWithSize(c, &pty.Winsize{Rows: terminal.Rows, Cols: terminal.Columns})
	if err != nil {
		return fmt.Errorf("start a shell: %w", err)
	}
	fmt.Fprintln(s, "exit comes back to the console")
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(s, line) // ends with an error when the shell has ended
	}()
	err = s.typeInto(ctx, line, done)
	hangUp(c, line, done)
	return err
}

// typeInto gives the shell what is typed until it ends, or nobody types.
func (s *session) typeInto(ctx context.Context, line io.Writer, done <-chan struct{}) error {
	for {
		late := time.NewTimer(s.idle)
		select {
		case <-done:
			late.Stop()
			return nil
		case key, ok := <-s.Keys():
			late.Stop()
			if !ok {
				return io.EOF
			}
			s.login.touch(s.idle)
			if _, err := line.Write([]byte{key}); err != nil {
				return nil // it has ended
			}
		case <-late.C:
			return errIdle
		case <-ctx.Done():
			late.Stop()
			return io.EOF
		}
	}
}

// hangUp ends what is left of the shell and waits for it.
func hangUp(c *exec.Cmd, line *os.File, done <-chan struct{}) {
	line.Close()                                                                                   // SIGHUP to the shell and what it runs in the foreground
	kill := time.AfterFunc(shellEnd, func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }) // its session; gone already is as good
	_ = c.Wait()                                                                                   // how it ended is of no interest
	kill.Stop()
	<-done
}
