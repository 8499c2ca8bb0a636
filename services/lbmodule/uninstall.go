package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"weir/services/config"
	"weir/services/lbmodule/bpf"
	"weir/services/lbmodule/netdev"
	"weir/services/program"
)

// uninstall removes everything of the module from the kernel: programs, links,
// maps, interface, addresses, rules and routes. The server is then as it was
// before; connections through the module end. What the kernel says of the
// module is enough for it: the files may be wrong or gone by then.
func uninstall(path string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("root is needed to remove eBPF programs; run lbmodule uninstall as root")
	}
	file, err := config.LoadModule(path)
	if err != nil {
		file = &config.Module{RunDir: config.ModuleRunDir, Interface: config.ModuleInterface}
	}
	lock, err := program.LockRunDir(file.RunDir, "lbmodule")
	if err != nil {
		return err
	}
	defer os.Remove(file.RunDir) // only when nothing else is in it
	defer lock.Close()
	marked, err := netdev.Marked()
	if err != nil {
		return err
	}
	var errs []error
	for name, mark := range marked {
		errs = append(errs, remove(name, mark.PinDir, indexOf(mark.Uplink)))
	}
	if len(marked) == 0 { // somebody may have removed the interface only
		errs = append(errs, remove(file.Interface, file.BPFDir, lastUplink(file)))
	}
	_ = os.Remove(drainMark(file)) // of no meaning without the programs
	return errors.Join(errs...)
}

// indexOf is the index of an interface; 0: it is gone, and with it what was on it.
func indexOf(name string) int {
	if ifc, err := net.InterfaceByName(name); err == nil {
		return ifc.Index
	}
	return 0
}

// lastUplink is the index of the interface towards the fabric as far as files
// still say it; 0: they do not.
func lastUplink(file *config.Module) int {
	address := netip.Addr{}
	if cluster, err := config.LoadCluster(file.ClusterFile); err == nil {
		if s := cluster.Server(file.Server); s != nil {
			address = s.Address
		}
	}
	if up, err := uplink(file.Uplink, address); err == nil {
		return up.Index
	}
	return 0
}

// remove takes the data path away, the fabric's side first: from then on the
// interface is as before, and packets meet nothing half removed.
func remove(name, pinDir string, uplink int) error {
	var errs []error
	if pinDir != "" {
		errs = append(errs, bpf.Unpin(pinDir))
	}
	if uplink != 0 {
		errs = append(errs, bpf.DetachFilters(uplink))
	}
	errs = append(errs, netdev.Remove(name))
	if pinDir != "" {
		_ = os.Remove(pinDir) // only when nothing else is in it
	}
	return errors.Join(errs...)
}
