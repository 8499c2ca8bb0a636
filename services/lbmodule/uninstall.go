package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"weir/services/config"
	"weir/services/lbmodule/bpf"
	"weir/services/lbmodule/netdev"
	"weir/services/program"
)

// uninstall removes everything of the module from the kernel: programs, links,
// maps, interface, addresses, rules and routes. The server is then as it was
// before; connections through the module end. It works without a cluster file.
func uninstall(path string) error {
	file, err := config.LoadModule(path)
	if err != nil {
		return program.ConfigError(err)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("root is needed to remove eBPF programs; run lbmodule uninstall as root")
	}
	lock, err := program.LockRunDir(file.RunDir, "lbmodule")
	if err != nil {
		return err
	}
	defer lock.Close()
	index := 0
	if up, err := uplink(lastUplink(file), serverAddress(file)); err == nil {
		index = up.Index
	}
	if err := remove(file.Interface, file.BPFDir, index); err != nil {
		return err
	}
	_ = os.Remove(uplinkMark(file)) // of no meaning without the programs
	return nil
}

// serverAddress is the server's address if there is a cluster file that still
// says it.
func serverAddress(file *config.Module) netip.Addr {
	cluster, err := config.LoadCluster(file.ClusterFile)
	if err != nil {
		return netip.Addr{}
	}
	if s := cluster.Server(file.Server); s != nil {
		return s.Address
	}
	return netip.Addr{}
}

// uplinkMark is a file that lives as long as the programs in the kernel: it
// names the interface that they are on.
func uplinkMark(file *config.Module) string { return filepath.Join(file.RunDir, "uplink") }

func (m *module) rememberUplink(name string) {
	if err := os.WriteFile(uplinkMark(m.file), []byte(name), 0o600); err != nil {
		m.log.Warn("the uplink's name cannot be kept; an uninstall without a cluster file will not find it", "error", err)
	}
}

// lastUplink is the interface towards the fabric as far as it is known without
// a configuration of the cluster; empty: it is not.
func lastUplink(file *config.Module) string {
	if file.Uplink != "" {
		return file.Uplink
	}
	name, err := os.ReadFile(uplinkMark(file))
	if err != nil {
		return ""
	}
	return string(name)
}

// remove takes the data path away, the fabric's side first: from then on the
// interface is as before, and packets meet nothing half removed.
func remove(name, pinDir string, uplink int) error {
	errs := []error{bpf.Unpin(pinDir)}
	if uplink != 0 {
		errs = append(errs, bpf.DetachFilters(uplink))
	}
	errs = append(errs, netdev.Remove(name))
	_ = os.Remove(pinDir) // only when nothing else is in it
	return errors.Join(errs...)
}
