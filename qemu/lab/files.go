package lab

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"weir/qemu/topology"
)

// prepareDir makes a machine's directory, empty.
func (l *Lab) prepareDir(id string) error {
	dir := l.machineDir(id)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("prepare %s: %w", id, err)
	}
	for _, sub := range []string{"run", "state"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return fmt.Errorf("prepare %s: %w", id, err)
		}
	}
	return nil
}

func (l *Lab) clusterFile() string { return filepath.Join(l.Dir, "cluster.yaml") }

// writeKey makes a new cluster key.
func (l *Lab) writeKey() error {
	key := make([]byte, 32)
	rand.Read(key)
	if err := os.WriteFile(filepath.Join(l.Dir, "cluster.key"), []byte(hex.EncodeToString(key)+"\n"), 0o600); err != nil {
		return fmt.Errorf("write cluster key: %w", err)
	}
	return nil
}

// writeCluster puts the cluster file in place at once, as nodes and modules
// watch it.
func (l *Lab) writeCluster() error {
	text, err := l.Top.ClusterYAML("cluster.key")
	if err != nil {
		return err
	}
	if err := writeFile(l.clusterFile()+".new", text); err != nil {
		return err
	}
	return os.Rename(l.clusterFile()+".new", l.clusterFile())
}

func (l *Lab) prepareNode(n topology.Node) error {
	if err := l.prepareDir(n.ID); err != nil {
		return err
	}
	dir := l.machineDir(n.ID)
	text, err := l.Top.NodeYAML(n, topology.NodePaths{Cluster: l.clusterFile(), Run: filepath.Join(dir, "run"), State: filepath.Join(dir, "state")})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "node.yaml"), text)
}

func (l *Lab) prepareServer(s topology.Server) error {
	if err := l.prepareDir(s.ID); err != nil {
		return err
	}
	text, err := l.Top.ModuleYAML(s, l.serverPaths(s))
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(l.machineDir(s.ID), "module.yaml"), text)
}
