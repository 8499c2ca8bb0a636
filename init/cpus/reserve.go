package cpus

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Rest is what remains of a machine's cores when some are kept for the packet
// processor. Root is empty on a machine and a folder in a test.
func Rest(root string, kept []int) (Set, error) {
	text, err := os.ReadFile(filepath.Join(root, "/sys/devices/system/cpu/online"))
	if err != nil {
		return Set{}, fmt.Errorf("list the processors: %w", err)
	}
	online, err := Parse(string(text))
	if err != nil {
		return Set{}, fmt.Errorf("list the processors: %w", err)
	}
	for _, c := range kept {
		if c >= maxCores || !online.IsSet(c) {
			return Set{}, fmt.Errorf("core %d of dataplane.layout is not there; this machine has %s", c, online)
		}
	}
	rest := online.Minus(Of(kept...))
	if rest.Count() == 0 {
		return Set{}, fmt.Errorf("dataplane.layout names all cores (%s), and the rest of the node needs one", online)
	}
	return rest, nil
}

// Kernel moves what of the kernel can be moved to the rest: unbound work queues,
// interrupts (those to come as well) and its threads. What the kernel wants
// where it is stays.
func Kernel(root string, rest Set) {
	write := func(file, text string) { _ = os.WriteFile(filepath.Join(root, file), []byte(text), 0) }
	write("/sys/devices/virtual/workqueue/cpumask", rest.Mask())
	write("/proc/irq/default_smp_affinity", rest.Mask())
	irqs, _ := filepath.Glob(filepath.Join(root, "/proc/irq/[0-9]*/smp_affinity_list"))
	for _, f := range irqs {
		_ = os.WriteFile(f, []byte(rest.String()), 0)
	}
	stats, _ := filepath.Glob(filepath.Join(root, "/proc/[0-9]*/stat"))
	for _, f := range stats {
		text, _ := os.ReadFile(f)
		if kernelThread(string(text)) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			_ = unix.SchedSetaffinity(pid, &rest.CPUSet)
		}
	}
}

// kernelThread reads /proc/PID/stat: the flags are the 7th field after the name.
func kernelThread(stat string) bool {
	const pfKthread = 0x00200000
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) < 7 {
		return false
	}
	flags, _ := strconv.ParseUint(fields[6], 10, 64)
	return flags&pfKthread != 0
}

// Float confines all threads of a process to the rest, except those that pinned
// themselves to one core. A thread inherits from the one that starts it, so this
// is repeated until there was no new one.
func Float(pid int, rest Set) {
	done := map[string]bool{}
	for fresh := true; fresh; {
		fresh = false
		tasks, _ := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "task"))
		for _, t := range tasks {
			if done[t.Name()] {
				continue
			}
			fresh, done[t.Name()] = true, true
			tid, _ := strconv.Atoi(t.Name())
			var now unix.CPUSet
			if unix.SchedGetaffinity(tid, &now) == nil && now.Count() > 1 {
				_ = unix.SchedSetaffinity(tid, &rest.CPUSet)
			}
		}
	}
}
