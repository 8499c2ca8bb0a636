package modules

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/u-root/u-root/pkg/kmodule"

	"weir/init/phase"
	"weir/init/sysfs"
)

// undeclared are modules that no device asks for. One that the kernel has built
// in, or that is not in the image, is no mistake unless it is needed later: then
// that phase tells.
func undeclared(root string) []string {
	names := []string{"crc32c_generic", "ext4", "tun", "evdev"}
	// Those that NICs are bound to later, see the package nic.
	if groups, _ := os.ReadDir(filepath.Join(root, "/sys/kernel/iommu_groups")); len(groups) > 0 {
		names = append(names, "vfio_iommu_type1", "vfio_pci")
	} else {
		names = append(names, "uio_pci_generic")
	}
	if _, err := os.Stat(filepath.Join(root, "/sys/firmware/efi")); err == nil {
		// The last three are for reading a slot (firmware/slots).
		names = append(names, "efivarfs", "efi_pstore", "vfat", "nls_cp437", "nls_ascii")
	}
	return names
}

// Loader loads kernel modules with what they depend on. Any goroutine may use it.
type Loader struct {
	prober  *kmodule.Prober
	aliases Aliases
}

// NewLoader reads what modules there are for the running kernel.
func NewLoader() (*Loader, error) {
	release := sysfs.Text("/proc/sys/kernel/osrelease")
	p, err := kmodule.NewProber(kmodule.ProbeOpts{KVer: release})
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join("/lib/modules", release, "modules.alias"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	aliases, err := ReadAliases(f)
	if err != nil {
		return nil, fmt.Errorf("modules.alias: %w", err)
	}
	return &Loader{p, aliases}, nil
}

// Load loads a module by its name or by something that it is an alias of. What
// is there already is no error.
func (l *Loader) Load(name string) error {
	names := []string{name}
	if strings.ContainsAny(name, ":-") {
		if found := l.aliases.Modules(name); len(found) > 0 {
			names = found
		}
	}
	var failed error
	for _, n := range names {
		failed = errors.Join(failed, l.prober.Probe(n, ""))
	}
	return failed
}

func (l *Loader) search() *search {
	return &search{load: func(name string) error { return l.prober.Probe(name, "") }, aliases: l.aliases, done: map[string]bool{}}
}

// Boot is the phase. What it returns as later goes on with controllers of disks,
// of which some take a minute, and with the disks behind them.
func (l *Loader) Boot() (later func() error, o phase.Outcome) {
	s := l.search()
	var others sync.WaitGroup
	others.Go(func() { s.loadAll(undeclared("")) })
	slow, n, failed := s.waves()
	others.Wait()
	later = func() error {
		errs := s.loadAll(slow)
		_, _, err := s.waves()
		return errors.Join(report(slow, errs), err)
	}
	if failed != nil {
		return later, Degraded(failed)
	}
	return later, phase.Detail("%d for this machine's devices", n+len(slow))
}

// Degraded is the phase's outcome when some modules could not be loaded.
func Degraded(err error) phase.Outcome {
	return phase.Degrade("see the kernel's log; the devices of these modules cannot be used", "%v", err)
}
