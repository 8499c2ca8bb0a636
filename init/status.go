package main

import (
	"path/filepath"

	"weir/init/nic"
	"weir/init/phase"
	"weir/init/sysfs"
	"weir/services/api"
	"weir/services/version"
)

// status is what the API tells of the boot.
func (n *node) status() *api.BootStatus {
	s := n.state.Status() // a dying disk may let it wait: not under the lock
	n.mu.Lock()
	defer n.mu.Unlock()
	b := &api.BootStatus{
		Version: version.Version, Slot: n.slot, CommandLine: n.line.String(),
		Identity:      &api.Identity{Uuid: n.identity.UUID, Serial: n.identity.Serial, Vendor: n.identity.Vendor, Product: n.identity.Product},
		UptimeSeconds: phase.SinceKernel().Seconds(), Kernel: sysfs.Text("/proc/sys/kernel/osrelease"), ClockSource: n.clock.Source(), Watchdog: n.dog.String(),
	}
	if n.config != nil {
		b.ConfigSource, b.ConfigLastGood = n.config.Source, n.config.LastGood
	}
	for _, p := range n.phases.Snapshot() {
		b.Phases = append(b.Phases, &api.Phase{Name: p.Name, Result: string(p.Result), StartedSeconds: p.Started.Seconds(),
			TookSeconds: p.Took.Seconds(), Reason: p.Reason, Remedy: p.Remedy})
	}
	for _, a := range n.nics {
		b.Nics = append(b.Nics, nicStatus(a))
	}
	b.State = &api.State{Device: s.Device, Mode: s.Mode, Size: s.Size, Free: s.Free, Error: s.Error}
	return b
}

func nicStatus(a nic.Assigned) *api.Nic {
	out := &api.Nic{Role: a.Role, Pci: a.PCI, Mac: a.MAC, VendorDevice: a.VendorDevice, Wanted: a.Device, Numa: uint32(a.NUMA)}
	if a.PCI != "" {
		out.Driver = sysfs.Link(filepath.Join("/sys/bus/pci/devices", a.PCI, "driver"))
	}
	if a.Err != nil {
		out.Error = a.Err.Error()
	}
	return out
}
