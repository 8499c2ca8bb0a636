package rolling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/qemu/lab"
	"weir/qemu/topology"
)

// upgrade is what weirctl upgrade status says.
type upgrade struct {
	State, Reason, Remedy string
	Nodes                 []struct {
		ID, From, To, Phase, Now string
		Drained                  bool
		Took                     float64 `json:"took_seconds"`
		Out                      float64 `json:"out_seconds"`
	}
}

// status asks how far the upgrade is; the error is for as long as nobody answers.
func status(ctx context.Context, r *Roll) (u upgrade, err error) {
	c := r.Command(ctx, "upgrade", "status", "-o", "json")
	c.Stdout, c.Stderr = nil, nil
	text, err := c.Output()
	if err == nil {
		err = json.Unmarshal(text, &u)
	}
	return u, err
}

// await waits until the upgrade is as asked for.
func await(ctx context.Context, r *Roll, what string, is func(upgrade) bool) error {
	var u upgrade
	var err error
	for {
		if u, err = status(ctx, r); err == nil && is(u) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not yet: %+v, %w", what, u, err)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// phase reports whether a node is in one.
func phase(id, want string) func(upgrade) bool {
	return func(u upgrade) bool {
		for _, n := range u.Nodes {
			if n.ID == id {
				return n.Phase == want
			}
		}
		return false
	}
}

// versions compares what every node runs with what is wanted.
func versions(ctx context.Context, r *Roll, want string) error {
	var errs []error
	for _, n := range r.Lab.Top.Nodes {
		s, err := r.Lab.NodeStatus(ctx, n)
		if err == nil && (s.Update.GetVersion() != want || s.Update.GetTrial() != nil || s.Drained) {
			err = fmt.Errorf("%s runs %s (%s), drained: %v; want %s", n.ID, s.Update.GetVersion(), s.Update.GetState(), s.Drained, want)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// bad is a version that no node keeps: its init ends.
const bad = "99.6.6"

// badInit is a program that does nothing.
func badInit(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "init")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("go", "build", "-o", program, source)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A cluster of three machines under traffic goes to a new version, while who carries
// that on is killed, and back; then to a version that no node keeps.
func TestLongAClusterGoesToANewVersionAndBackAndLosesNoConnection(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	top, err := topology.New(3, 4)
	if err != nil {
		t.Fatal(err)
	}
	build, err := lab.BuildDir()
	if err != nil {
		t.Fatal(err)
	}
	l := lab.NewSlotted(top, build)
	l.Progress = func(line string) { fmt.Fprintln(os.Stderr, line) }
	r, err := Begin(ctx, l, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	ended := false
	end := func() {
		if ended {
			return
		}
		ended = true
		if err := r.End(); err != nil {
			t.Error(err)
		}
	}
	defer end()
	before, err := l.Releases().Version()
	if err != nil {
		t.Fatal(err)
	}
	for version, files := range map[string]map[string][]byte{next: nil, bad: {"init": badInit(t)}} {
		if err := l.Releases().Add(ctx, version, files); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"to version " + next + "; weirctl is killed with lb1, configd with lb2", func() error {
			start := r.Command(ctx, "upgrade", "start", "--version", next)
			if err := start.Start(); err != nil {
				return err
			}
			following, ended := context.WithCancel(ctx)
			gone := make(chan struct{})
			go func() {
				_ = start.Wait()
				ended()
				close(gone)
			}()
			err := await(following, r, "lb1 restarts", phase("lb1", "trying"))
			_ = start.Process.Kill()
			<-gone
			if err == nil {
				err = await(ctx, r, "lb2 restarts", phase("lb2", "trying"))
			}
			if err == nil {
				err = l.Stop(topology.ControllerID, "configd", syscall.SIGKILL)
			}
			if err == nil {
				err = l.Start(topology.ControllerID, "configd")
			}
			if err == nil {
				err = await(ctx, r, "the upgrade ends", func(u upgrade) bool { return u.State != "running" })
			}
			return errors.Join(err, r.Weirctl(ctx, "upgrade", "status"), versions(ctx, r, next))
		}},
		{"back", func() error {
			return errors.Join(r.Weirctl(ctx, "upgrade", "rollback"), versions(ctx, r, before))
		}},
		{"to a version that no node keeps", func() error {
			if err := r.Weirctl(ctx, "upgrade", "start", "--version", bad); err == nil {
				return errors.New("it is done")
			}
			u, err := status(ctx, r)
			switch {
			case err != nil:
				return err
			case u.State != "stopped" || !strings.Contains(u.Reason, "node lb1: version "+bad+" has failed its trial") || u.Remedy == "" || u.Nodes[1].Phase != "waiting":
				return fmt.Errorf("%+v", u)
			}
			return versions(ctx, r, before)
		}},
	} {
		if err := r.Step(step.name, step.do); err != nil {
			t.Error(err)
			return
		}
	}
	end()
}
