package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

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
	if up, err := uplink(file.Uplink, serverAddress(file)); err == nil {
		index = up.Index
	}
	return remove(file.Interface, file.BPFDir, index)
}

// serverAddress is the server's address if the cluster file still says it.
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
