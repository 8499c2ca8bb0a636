package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Up removes whatever an earlier lab left, starts everything, waits until
// connections reach the servers, and writes lab.json. When it fails or ctx
// ends, it removes what it made, except for logs.
func (l *Lab) Up(ctx context.Context) (err error) {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	l.started = time.Now()
	if err := l.checkPrograms(); err != nil {
		return err
	}
	if err := l.kind.settle(ctx); err != nil {
		return err
	}
	if err := l.remove(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.remove())
		}
	}()
	if err := l.prepareDirs(); err != nil {
		return err
	}
	if err := l.raiseHugepages(); err != nil {
		return err
	}
	if err := l.mountBpf(); err != nil {
		return err
	}
	if err := l.makeContent(); err != nil {
		return err
	}
	l.say("wiring %d LB nodes, %d servers, client and router", len(l.Top.Nodes), len(l.Top.Servers))
	if err := l.buildNetwork(); err != nil {
		return err
	}
	if err := interrupted(ctx); err != nil {
		return err
	}
	var all []*running
	keep := func(r *running, err error) error {
		if err == nil {
			all = append(all, r)
		}
		return err
	}
	l.say("starting nginx on every server, FRR on the router")
	for _, s := range l.Top.Servers {
		if err := keep(l.startServer(s)); err != nil {
			return err
		}
	}
	routers, err := l.startRouter()
	if err != nil {
		return err
	}
	all = append(all, routers...)
	if err := interrupted(ctx); err != nil {
		return err
	}
	if !l.Plain {
		l.say("starting configd on the controller")
		controller, err := l.startController(ctx)
		if err := keep(controller, err); err != nil {
			return err
		}
		l.say("starting lbmodule on every server, %s on every node", strings.Join(l.kind.programs(l.Top.Nodes[0].ID), " and "))
		if err := l.startOurs(keep); err != nil {
			return err
		}
	}
	if err := l.waitReady(ctx, all); err != nil {
		return err
	}
	if err := l.writeJSON(); err != nil {
		return err
	}
	l.say("ready: %s", filepath.Join(l.Dir, "lab.json"))
	return nil
}

// interrupted is an error once somebody has asked us to end.
func interrupted(ctx context.Context) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return nil
}

// Programs of ours that the lab runs.
const (
	dataplaneName = "dataplane"
	nodedName     = "noded"
	moduleName    = "lbmodule"
	configdName   = "configd"
)

func (l *Lab) checkPrograms() error {
	needed := []string{nginxPath, filepath.Join(frrLibDir, "bgpd"), filepath.Join(frrLibDir, "zebra")}
	if !l.Plain {
		for _, name := range []string{moduleName, configdName} {
			needed = append(needed, filepath.Join(l.Bin, name))
		}
		needed = append(needed, l.kind.files()...)
	}
	for _, path := range needed {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%s is missing: run make deps build, for a QEMU lab also make image", path)
		}
	}
	return nil
}

// longestSocket is the longest path that fits into sockaddr_un.
const longestSocket = 107

// prepareDirs makes every machine's directory, empty, and the configuration.
func (l *Lab) prepareDirs() error {
	if path := filepath.Join(l.machineDir("lb99"), "run", "dataplane.sock"); len(path) > longestSocket {
		return fmt.Errorf("%s is too long for a Unix socket: move the source tree to a shorter path", path)
	}
	if err := l.prepareDir("router"); err != nil {
		return err
	}
	if err := l.makeAuthority(); err != nil {
		return err
	}
	if err := l.prepareController(); err != nil {
		return err
	}
	for _, n := range l.Top.Nodes {
		if err := l.kind.prepare(n); err != nil {
			return err
		}
	}
	for _, s := range l.Top.Servers {
		if err := l.prepareServer(s); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) startOurs(keep func(*running, error) error) error {
	for _, s := range l.Top.Servers {
		if err := keep(l.start(l.ourProgram(s.ID, moduleName))); err != nil {
			return err
		}
	}
	for _, n := range l.Top.Nodes {
		for _, name := range l.kind.programs(n.ID) {
			p, err := l.kind.program(n, name)
			if err != nil {
				return err
			}
			if err := keep(l.start(p)); err != nil {
				return err
			}
		}
	}
	return nil
}

// ourProgram is how one of our programs runs on a machine.
func (l *Lab) ourProgram(machine, name string) program {
	conf := map[string]string{dataplaneName: "node.yaml", nodedName: "node.yaml", moduleName: "module.yaml", configdName: "configd.yaml", provisiondName: "provisiond.yaml"}[name]
	return program{
		machine: machine, name: name, namespace: "weir-" + machine,
		argv: []string{filepath.Join(l.Bin, name), "--config", filepath.Join(l.machineDir(machine), conf)},
	}
}
