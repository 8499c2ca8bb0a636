package lab

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weir/qemu/topology"
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
		l.say("starting lbmodule on every server, dataplane and noded on every node")
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
)

func (l *Lab) checkPrograms() error {
	needed := []string{nginxPath, filepath.Join(frrLibDir, "bgpd"), filepath.Join(frrLibDir, "zebra")}
	if !l.Plain {
		for _, name := range []string{dataplaneName, nodedName, moduleName} {
			needed = append(needed, filepath.Join(l.Bin, name))
		}
	}
	for _, path := range needed {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%s is missing: run make deps build", path)
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
	ids := []string{"router"}
	for _, n := range l.Top.Nodes {
		ids = append(ids, n.ID)
	}
	for _, s := range l.Top.Servers {
		ids = append(ids, s.ID)
	}
	for _, id := range ids {
		dir := l.machineDir(id)
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("prepare %s: %w", id, err)
		}
		for _, sub := range []string{"run", "state"} {
			if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
				return fmt.Errorf("prepare %s: %w", id, err)
			}
		}
	}
	return l.writeConfig()
}

func (l *Lab) writeConfig() error {
	key := make([]byte, 32)
	rand.Read(key)
	if err := os.WriteFile(filepath.Join(l.Dir, "cluster.key"), []byte(hex.EncodeToString(key)+"\n"), 0o600); err != nil {
		return fmt.Errorf("write cluster key: %w", err)
	}
	text, err := l.Top.ClusterYAML("cluster.key")
	if err != nil {
		return err
	}
	cluster := filepath.Join(l.Dir, "cluster.yaml")
	if err := writeFile(cluster, text); err != nil {
		return err
	}
	for _, n := range l.Top.Nodes {
		dir := l.machineDir(n.ID)
		text, err := l.Top.NodeYAML(n, topology.NodePaths{Cluster: cluster, Run: filepath.Join(dir, "run"), State: filepath.Join(dir, "state")})
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(dir, "node.yaml"), text); err != nil {
			return err
		}
	}
	for _, s := range l.Top.Servers {
		text, err := l.Top.ModuleYAML(s, l.serverPaths(s))
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(l.machineDir(s.ID), "module.yaml"), text); err != nil {
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
		for _, name := range []string{dataplaneName, nodedName} {
			if err := keep(l.start(l.ourProgram(n.ID, name))); err != nil {
				return err
			}
		}
	}
	return nil
}

// ourProgram is how one of our programs runs on a machine.
func (l *Lab) ourProgram(machine, name string) program {
	conf := "node.yaml"
	if name == moduleName {
		conf = "module.yaml"
	}
	return program{
		machine: machine, name: name, namespace: "weir-" + machine,
		argv: []string{filepath.Join(l.Bin, name), "--config", filepath.Join(l.machineDir(machine), conf)},
	}
}
