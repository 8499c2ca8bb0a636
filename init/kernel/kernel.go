// Package kernel sets the kernel's options (the phase "kernel").
package kernel

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"weir/init/phase"
	"weir/init/sysfs"
	"weir/services/config"
)

// Options that every node gets.
var Options = []config.KernelOption{
	// A dead kernel comes back, and leaves a record (S-104: also a hung new one).
	{Key: "kernel.panic", Value: "10"},
	{Key: "kernel.panic_on_oops", Value: "1"},
	// A task that waits for a dying disk is told of; forwarding goes on.
	{Key: "kernel.hung_task_timeout_secs", Value: "120"},
	{Key: "kernel.hung_task_warnings", Value: "10"},
	// The console shows what matters; all of it is in the log.
	{Key: "kernel.printk", Value: "4 4 1 7"},
	{Key: "kernel.kptr_restrict", Value: "2"},
	{Key: "kernel.dmesg_restrict", Value: "1"},
	// Publications and gossip come in bursts.
	{Key: "net.core.rmem_max", Value: "16777216"},
	{Key: "net.core.wmem_max", Value: "16777216"},
	// Three interfaces may see the same segment: each answers for its own
	// addresses only, and sends its own.
	{Key: "net.ipv4.conf.all.arp_ignore", Value: "1"},
	{Key: "net.ipv4.conf.all.arp_announce", Value: "2"},
	// A node is no router of the kernel's kind, and takes no routes from strangers.
	{Key: "net.ipv4.ip_forward", Value: "0"},
	{Key: "net.ipv4.conf.all.accept_redirects", Value: "0"},
	{Key: "net.ipv4.conf.default.accept_redirects", Value: "0"},
	{Key: "net.ipv4.conf.all.send_redirects", Value: "0"},
	{Key: "net.ipv6.conf.all.accept_redirects", Value: "0"},
	{Key: "net.ipv6.conf.default.accept_redirects", Value: "0"},
	{Key: "net.ipv6.conf.default.accept_ra", Value: "0"},
	{Key: "net.ipv6.conf.all.accept_ra", Value: "0"},
}

// Set sets the options of the node and then those of its configuration, which
// have the last word. Root is "" on a machine.
func Set(root string, configured []config.KernelOption) phase.Outcome {
	var failed []string
	for _, o := range append(append([]config.KernelOption(nil), Options...), configured...) {
		if err := one(root, o); err != nil {
			failed = append(failed, err.Error())
		}
	}
	if len(failed) > 0 {
		return phase.Degrade("correct machine.sysctls, or leave out what this kernel does not have", "%s", strings.Join(failed, "; "))
	}
	return phase.Done()
}

func one(root string, o config.KernelOption) error {
	// As sysctl(8): dots separate, unless a slash does.
	path := o.Key
	if !strings.Contains(path, "/") {
		path = strings.ReplaceAll(path, ".", "/")
	}
	err := sysfs.Write(filepath.Join(root, "/proc/sys", path), o.Value)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return errors.New("the kernel has no option " + o.Key)
	case err != nil:
		return errors.New(o.Key + " does not take " + o.Value)
	}
	return nil
}
