package modules

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/u-root/u-root/pkg/kmodule"
	"golang.org/x/sys/unix"

	"weir/init/phase"
	"weir/init/sysfs"
)

// undeclared are modules that no device asks for. One that the kernel has built
// in, or that is not in the image, is no mistake unless it is needed later: then
// that phase tells.
func undeclared(root string) []string {
	names := []string{"crc32c_generic", "ext4", "tun", "evdev"}
	if _, err := os.Stat(filepath.Join(root, "/sys/firmware/efi")); err == nil {
		names = append(names, "efivarfs", "efi_pstore")
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

// Devices loads the modules of all devices, side by side, as many wait for
// their hardware. Loading one makes more devices appear, a disk behind its
// controller: it goes on until nothing new comes.
func (l *Loader) Devices() (n int, failed error) {
	done := map[string]bool{}
	for {
		var names []string
		for _, modalias := range modaliases("") {
			for _, m := range l.aliases.Modules(modalias) {
				if !done[m] {
					done[m] = true
					names = append(names, m)
				}
			}
		}
		if len(names) == 0 {
			return n, failed
		}
		for i, err := range l.loadAll(names) {
			switch {
			case err == nil:
				n++
			case !errors.Is(err, unix.ENODEV): // the driver does not want the device
				failed = errors.Join(failed, fmt.Errorf("%s: %w", names[i], err))
			}
		}
	}
}

// loadAll loads modules side by side and gives the error of each.
func (l *Loader) loadAll(names []string) []error {
	errs := make([]error, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		wait.Go(func() { errs[i] = l.prober.Probe(name, "") })
	}
	wait.Wait()
	return errs
}

// modaliases collects what the devices say of themselves.
func modaliases(root string) []string {
	paths, _ := filepath.Glob(filepath.Join(root, "/sys/bus/*/devices/*/modalias"))
	var all []string
	for _, path := range paths {
		if text := sysfs.Text(path); text != "" {
			all = append(all, text)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Boot is the phase.
func Boot() (*Loader, phase.Outcome) {
	const remedy = "boot the image with the kernel that it was built with"
	l, err := NewLoader()
	if err != nil {
		return nil, phase.Fail(remedy, "%v", err)
	}
	var others sync.WaitGroup
	others.Go(func() { l.loadAll(undeclared("")) })
	n, failed := l.Devices()
	others.Wait()
	if failed != nil {
		return l, phase.Degrade("see the kernel's log; the devices of these modules cannot be used", "%s", strings.ReplaceAll(failed.Error(), "\n", "; "))
	}
	return l, phase.Detail("%d for this machine's devices", n)
}
