package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weir/qemu/topology"
)

// Directories that "vtysh -N weir-router" looks into.
const (
	frrConfDir = "/etc/frr/" + topology.RouterName
	frrRunDir  = "/var/run/frr/" + topology.RouterName
	frrLibDir  = "/usr/lib/frr"
)

// startRouter starts FRR's zebra and bgpd in the router's namespace.
func (l *Lab) startRouter() ([]*running, error) {
	conf, err := l.Top.FRRConf()
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{frrConfDir, frrRunDir} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, fmt.Errorf("prepare FRR: %w", err)
		}
		if err := giveToFRR(dir); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{"frr.conf": conf, "vtysh.conf": "service integrated-vtysh-config\n"} {
		path := filepath.Join(frrConfDir, name)
		if err := writeFile(path, text); err != nil {
			return nil, err
		}
		if err := giveToFRR(path); err != nil {
			return nil, err
		}
	}
	var started []*running
	for _, daemon := range []string{"zebra", "bgpd"} {
		r, err := l.start(program{
			machine: "router", name: daemon, namespace: topology.RouterName,
			argv: []string{filepath.Join(frrLibDir, daemon), "-N", topology.RouterName, "-u", "frr", "-g", "frr", "-A", "127.0.0.1", "-P", "0", "--log", "stdout"},
		})
		if err != nil {
			return nil, err
		}
		started = append(started, r)
		if err := waitFile(filepath.Join(frrRunDir, daemon+".vty"), r, 10*time.Second); err != nil {
			return nil, err
		}
	}
	if out, err := exec.Command("vtysh", "-N", topology.RouterName, "-b").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("configure FRR: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return started, nil
}

func giveToFRR(path string) error {
	u, err := user.Lookup("frr")
	if err != nil {
		return fmt.Errorf("prepare FRR: %w: install the package frr (make deps)", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(path, uid, gid); err != nil {
		return fmt.Errorf("prepare FRR: %w", err)
	}
	return nil
}

func removeRouterFiles() error {
	return errors.Join(os.RemoveAll(frrConfDir), os.RemoveAll(frrRunDir))
}

// waitFile waits until the program has made a file (a socket, usually).
func waitFile(path string, by *running, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		if err := by.alive(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s of %s made no %s within %v: see %s", by.name, by.machine, path, patience, by.log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
