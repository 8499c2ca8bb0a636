package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/services/identity"
)

func TestAModuleThatWaitsForItsConfigurationIsReadyAndStopsInOrder(t *testing.T) {
	dir := t.TempDir()
	if err := identity.CreateCA(dir, "test"); err != nil {
		t.Fatal(err)
	}
	files, err := identity.Issue(dir, identity.Server, "srv1", nil)
	if err != nil {
		t.Fatal(err)
	}
	supervisor, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer supervisor.Close()
	file := filepath.Join(dir, "lbmodule.yaml")
	text := fmt.Sprintf("server: srv1\nconfig_service: {addresses: ['127.0.0.1:9'], ca: %s, cert: %s, key: %s}\nrun_dir: run\nstate_dir: state\n", files.CA, files.Cert, files.Key)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	c := exec.Command("/proc/self/exe", "--config", file)
	c.Env = append(os.Environ(), asProgram+"=1", "NOTIFY_SOCKET="+filepath.Join(dir, "notify"), "WATCHDOG_USEC=600000")
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	told := func(want string) {
		t.Helper()
		b := make([]byte, 1024)
		for deadline := time.Now().Add(30 * time.Second); ; {
			if err := supervisor.SetReadDeadline(deadline); err != nil {
				t.Fatal(err)
			}
			n, err := supervisor.Read(b)
			if err != nil {
				_ = c.Process.Kill()
				_ = c.Wait()
				t.Fatalf("not told %q: %v\n%s", want, err, said.String())
			}
			if strings.HasPrefix(string(b[:n]), want) {
				return
			}
		}
	}
	told("READY=1\nSTATUS=waits for the configuration service: ")
	told("WATCHDOG=1")
	if err := c.Process.Signal(syscall.SIGHUP); err != nil {
		t.Error(err)
	}
	told("WATCHDOG=1") // it lives
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("told to stop, it ends with %v:\n%s", err, said.String())
	}
}
