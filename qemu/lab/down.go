package lab

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"weir/qemu/netns"
)

// namespacePrefix is what all the lab's namespaces begin with.
const namespacePrefix = "weir-"

// Down removes the lab, or what is left of one. Logs stay.
func (l *Lab) Down() error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	return l.remove()
}

// remove undoes everything that Up does, in whatever state it is. It ends only
// processes that the lab started and those that live in its namespaces.
func (l *Lab) remove() error {
	if err := os.MkdirAll(l.Dir, 0o755); err != nil {
		return err
	}
	errs := []error{removeIfThere(filepath.Join(l.Dir, "lab.json")), l.stopPrograms()}
	namespaces, err := labNamespaces()
	errs = append(errs, err)
	for _, name := range namespaces {
		errs = append(errs, netns.Delete(name))
	}
	for _, g := range leftoverCgroups() {
		errs = append(errs, g.remove())
	}
	errs = append(errs, removeRouterFiles(), l.unmountBpf(), l.restoreHugepages())
	return errors.Join(errs...)
}

// stopPrograms ends our own programs first, so that they can clean up while
// router and servers are still there.
func (l *Lab) stopPrograms() error {
	errs := []error{endPrograms(filepath.Join(l.Dir, "*"))}
	var rest []int
	namespaces, err := labNamespaces()
	errs = append(errs, err)
	for _, name := range namespaces {
		inside, err := netns.Processes(name)
		errs = append(errs, err)
		rest = append(rest, inside...)
	}
	for _, g := range leftoverCgroups() {
		rest = append(rest, g.processes()...)
	}
	slices.Sort(rest)
	rest = slices.DeleteFunc(slices.Compact(rest), func(pid int) bool { return pid == os.Getpid() })
	errs = append(errs, stopAll(rest, time.Second))
	return errors.Join(errs...)
}

// endPrograms ends what has left its process number in folders of that pattern.
func endPrograms(folders string) error {
	files, err := filepath.Glob(filepath.Join(folders, "*.pid"))
	if err != nil {
		return err
	}
	var pids []int
	for _, file := range files {
		if pid := readPid(file); pid != 0 {
			pids = append(pids, pid)
		}
	}
	errs := []error{stopAll(pids, 3*time.Second)}
	for _, file := range files {
		errs = append(errs, removeIfThere(file))
	}
	return errors.Join(errs...)
}

func labNamespaces() ([]string, error) {
	return netns.List(namespacePrefix)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
