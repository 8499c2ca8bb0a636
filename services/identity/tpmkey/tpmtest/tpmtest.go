// Package tpmtest gives tests a TPM in software, swtpm(8).
package tpmtest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"weir/services/identity/tpmkey"
)

// Start starts a TPM in software whose state is in dir, and makes it the machine's.
func Start(t testing.TB, dir string) {
	t.Helper()
	run, err := os.MkdirTemp("", "tpm") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(run, "s")
	c := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Start(); err != nil {
		t.Fatalf("%v: make deps", err)
	}
	before := tpmkey.Device
	tpmkey.Device = socket
	t.Cleanup(func() {
		tpmkey.Device = before
		_ = c.Process.Kill()
		_ = c.Wait()
		_ = os.RemoveAll(run)
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("unix", socket); err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("swtpm does not answer")
		}
	}
}
