package modules

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"weir/init/sysfs"
)

// search is a look through all devices of the machine.
type search struct {
	root    string // "" on a machine, a folder in a test
	load    func(module string) error
	aliases Aliases
	done    map[string]bool // modules that a wave has had
}

// waves loads the modules of all devices, side by side, as many wait for their
// hardware. Loading one makes more devices appear: it goes on until nothing new
// comes. Modules that only controllers of disks ask for are left to the caller.
func (s *search) waves() (slow []string, n int, failed error) {
	for {
		names, disks := s.wave()
		slow = append(slow, disks...)
		if len(names) == 0 {
			return slow, n, failed
		}
		errs := s.loadAll(names)
		failed = errors.Join(failed, report(names, errs))
		for _, err := range errs {
			if err == nil {
				n++
			}
		}
	}
}

// wave gives the modules that no wave has given before.
func (s *search) wave() (fast, slow []string) {
	devices := modaliases(s.root)
	for _, last := range []bool{false, true} {
		for _, device := range devices {
			if controlsDisks(device) != last {
				continue
			}
			for _, m := range s.aliases.Modules(device) {
				switch {
				case s.done[m]:
					continue
				case last:
					slow = append(slow, m)
				default:
					fast = append(fast, m)
				}
				s.done[m] = true
			}
		}
	}
	return fast, slow
}

// controlsDisks: base class 01 is mass storage (PCI Code and ID Assignment
// Specification 1.11, section 1.2).
func controlsDisks(modalias string) bool {
	return strings.HasPrefix(modalias, "pci:") && strings.Contains(modalias, "bc01sc")
}

// loadAll loads modules side by side and gives the error of each.
func (s *search) loadAll(names []string) []error {
	errs := make([]error, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		wait.Go(func() { errs[i] = s.load(name) })
	}
	wait.Wait()
	return errs
}

// report joins the errors, but those of drivers that do not want the device.
func report(names []string, errs []error) error {
	var all error
	for i, err := range errs {
		if err != nil && !errors.Is(err, unix.ENODEV) {
			all = errors.Join(all, fmt.Errorf("%s: %w", names[i], err))
		}
	}
	return all
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
