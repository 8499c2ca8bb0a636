// Package lab runs the whole cluster on one machine: a client, an FRR router,
// servers and a controller in network namespaces, and LB nodes either natively
// in namespaces too or as QEMU machines that boot the image, wired as
// qemu/topology says. It needs root. Everything that it makes it also removes,
// after a crash or an interruption too.
package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/qemu/topology"
)

// Lab is the lab of one source tree.
type Lab struct {
	Top *topology.Topology
	Dir string // build/lab: configuration, logs, pid files, lab.json
	Bin string // build/bin: the programs under test

	// Plain leaves our own programs out, to look at router, links and servers.
	Plain bool
	// Progress is called with one line per step.
	Progress func(line string)

	kind    kind
	started time.Time
}

// New describes the namespace lab in the build directory (see BuildDir).
func New(top *topology.Topology, build string) *Lab {
	l := &Lab{Top: top, Dir: filepath.Join(build, "lab"), Bin: filepath.Join(build, "bin"), Progress: func(string) {}, started: time.Now()}
	l.kind = native{l}
	return l
}

// NewQEMU describes the QEMU lab there: its LB nodes boot the image.
func NewQEMU(top *topology.Topology, build string) *Lab {
	l := New(top, build)
	l.kind = &virtual{Lab: l}
	top.FailureTime = virtualFailureTime
	return l
}

// BuildDir finds the build directory: beside the running program if that lies
// in build/bin, else the one of the source tree around the working directory.
func BuildDir() (string, error) {
	if exe, err := os.Executable(); err == nil {
		if dir := filepath.Dir(exe); filepath.Base(dir) == "bin" && filepath.Base(filepath.Dir(dir)) == "build" {
			return filepath.Dir(dir), nil
		}
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the build directory: %w", err)
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module weir\n") {
			return filepath.Join(dir, "build"), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find the build directory: run this inside the source tree")
		}
		dir = parent
	}
}

// machineDir is where one machine's files are: configuration, sockets, logs.
func (l *Lab) machineDir(id string) string { return filepath.Join(l.Dir, id) }

func (l *Lab) say(format string, args ...any) {
	l.Progress(fmt.Sprintf("%5.1fs  ", time.Since(l.started).Seconds()) + fmt.Sprintf(format, args...))
}
