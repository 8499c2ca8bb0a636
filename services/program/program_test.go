package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/services/config"
)

func TestExitCodesTellConfigurationFromTheMachine(t *testing.T) {
	plain := errors.New("no such interface")
	for want, errs := range map[int][]error{
		ExitFailed: {plain, fmt.Errorf("open: %w", plain)},
		ExitUsage:  {ConfigError(plain), fmt.Errorf("start: %w", ConfigError(plain)), config.Errors{}, ConfigError(config.Errors{})},
	} {
		for _, err := range errs {
			if got := ExitCode(err); got != want {
				t.Errorf("%#v: exit code %d, want %d", err, got, want)
			}
		}
	}
	if err := ConfigError(plain); err.Error() != plain.Error() || !errors.Is(err, plain) {
		t.Errorf("the mark changed the error to %q", err)
	}
}

func TestCommandLine(t *testing.T) {
	ran := ""
	d := Daemon{Name: "testd", Config: "/etc/weir/test.yaml",
		Run:      func(_ context.Context, _ *slog.Logger, file string) error { ran = "run " + file; return nil },
		Commands: []Command{{Name: "uninstall", Run: func(file string) error { ran = "uninstall " + file; return errors.New("no") }}}}
	for line, want := range map[string]struct {
		code int
		ran  string
	}{
		"":                          {0, "run /etc/weir/test.yaml"},
		"--config x.yaml":           {0, "run x.yaml"},
		"uninstall --config y.yaml": {ExitFailed, "uninstall y.yaml"},
		"--help":                    {0, ""},
		"--version":                 {0, ""},
		"--nonsense":                {ExitUsage, ""},
		"nonsense":                  {ExitUsage, ""},
	} {
		ran = ""
		if code := d.main(strings.Fields(line)); code != want.code || ran != want.ran {
			t.Errorf("%q: exit code %d, ran %q", line, code, ran)
		}
	}
}

func TestSecondProgramIsKeptOutOfARunDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	first, err := LockRunDir(dir, "testd")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockRunDir(dir, "testd"); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("the second lock gives %v", err)
	}
	if other, err := LockRunDir(dir, "otherd"); err != nil {
		t.Errorf("another program: %v", err)
	} else {
		other.Close()
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSocketReplacesALeftoverButNotALiveOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l, err := ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go io.Copy(io.Discard, accepted{l})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := ListenUnix(path); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("over a live socket: %v", err)
	}
}

// accepted takes connections as long as the listener lives.
type accepted struct{ net.Listener }

func (a accepted) Read([]byte) (int, error) {
	c, err := a.Accept()
	if err == nil {
		c.Close()
	}
	return 0, err
}
