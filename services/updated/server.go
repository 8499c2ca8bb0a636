package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"weir/init/cmdline"
	"weir/provisioning/enrolclient"
	"weir/services/version"
)

// bootServer is provisiond, seen from a machine that it boots over the network: it
// decides what the machine boots next, once it knows how this version does (S-104).
type bootServer interface {
	// Booted tells how this version does; failed is empty if it is well. The answer
	// is the version that the machine boots next if nothing new comes.
	Booted(ctx context.Context, version, failed string) (committed string, err error)
}

// servedBy is the boot server of a machine with this command line; nil: it boots
// from a disk, or from a server that knows no machines.
func servedBy(commandLine, stateDir string) bootServer {
	line := cmdline.Parse(commandLine)
	if e, err := line.Enrolment(); line.Slot() != "net" || err != nil || e == (cmdline.Enrolment{}) {
		return nil
	}
	return provisiond{filepath.Join(stateDir, "identity"), "/run/weir/installed"}
}

// provisiond is called with the identity that the machine got from it, which on its
// first boot comes later than updated.
type provisiond struct {
	dir       string // of the identity
	installed string // is there once init has written this version to the machine's disk
}

func (p provisiond) Booted(ctx context.Context, running, failed string) (string, error) {
	m, err := enrolclient.Recall(p.dir, version.Version)
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("this machine is not enrolled yet")
	}
	if err != nil {
		return "", err
	}
	member, err := m.Member()
	if err != nil {
		return "", err
	}
	_, notInstalled := os.Stat(p.installed)
	committed, err := member.Booted(ctx, running, failed, failed == "" && notInstalled == nil)
	return committed, said(err)
}

// commandLine is the kernel's.
func commandLine() string {
	b, _ := os.ReadFile("/proc/cmdline") // a machine without one was not booted over the network
	return string(b)
}
