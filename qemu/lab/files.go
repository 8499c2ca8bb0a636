package lab

import (
	"fmt"
	"os"
	"path/filepath"

	"weir/qemu/topology"
	"weir/services/identity"
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

func (l *Lab) prepareServer(s topology.Server) error {
	if err := l.prepareDir(s.ID); err != nil {
		return err
	}
	certificate, err := l.issue(identity.Server, s.ID, s.Address.Addr())
	if err != nil {
		return err
	}
	paths := l.serverPaths(s)
	paths.Certificate = certificate
	text, err := l.Top.ModuleYAML(s, paths)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(l.machineDir(s.ID), "module.yaml"), text)
}
