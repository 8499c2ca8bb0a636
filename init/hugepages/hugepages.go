// Package hugepages reserves huge pages on every NUMA node (the phase
// "hugepages"), and says what is missing if the memory does not suffice.
package hugepages

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"weir/init/phase"
	"weir/init/sysfs"
)

// Keep is the memory of each NUMA node, in bytes, that is never reserved: the
// kernel and the services live in it.
const Keep = 160 << 20

// System is the machine as this package sees it.
type System struct {
	Root string // "" on a machine, a folder in a test
}

// Want is what the configuration asks for.
type Want struct {
	Size    int64 // of one page, bytes
	PerNUMA int64 // bytes
	Needed  int64 // bytes that the packet processor takes, on one NUMA node
}

// node is the memory of one NUMA node, in bytes.
type node struct {
	name        string // "node0"; empty: the machine has only one
	total, free int64
	reserved    int64 // as huge pages of the size that is wanted
}

// Reserve reserves the pages.
func (s System) Reserve(w Want) phase.Outcome {
	nodes, err := s.nodes(w.Size)
	if err != nil {
		return phase.Fail("set machine.hugepages.size to a size that the processor has, or dataplane.hugepages to false", "%v", err)
	}
	var short []string
	var most int64
	for _, n := range nodes {
		if why := n.refuse(w); why != "" {
			short = append(short, why)
			most = max(most, n.reserved)
			continue
		}
		got, err := s.reserve(n, w)
		most = max(most, got)
		if err != nil {
			short = append(short, err.Error())
		}
	}
	switch {
	case len(short) == 0:
		return phase.Detail("%s of %s pages on %s", size(w.PerNUMA), size(w.Size), count(len(nodes), "NUMA node"))
	case most >= w.Needed:
		return phase.Degrade(remedy(w), "%s", strings.Join(short, "; "))
	}
	return phase.Fail(remedy(w), "%s", strings.Join(short, "; "))
}

// refuse says why the node cannot give so much and still run, or nothing.
func (n node) refuse(w Want) string {
	if w.PerNUMA <= n.reserved || w.PerNUMA-n.reserved <= n.free-Keep {
		return ""
	}
	return fmt.Sprintf("%s cannot give %s for huge pages: it has %s, %s of it free, and %s stay with the kernel and the services",
		n.where(), size(w.PerNUMA), size(n.total), size(n.free+n.reserved), size(Keep))
}

func remedy(w Want) string {
	least := (w.Needed + w.Size - 1) / w.Size * w.Size
	text := "give the machine more memory"
	if least < w.PerNUMA {
		text += fmt.Sprintf(", or lower machine.hugepages.per_numa (the dataplane needs %s)", size(least))
	} else {
		text += ", or lower dataplane.memory and machine.hugepages.per_numa"
	}
	if w.Size > 2<<20 {
		text += fmt.Sprintf("; or reserve them before memory is in pieces, on the boot command line: hugepagesz=1G hugepages=%d", max(1, w.PerNUMA/w.Size))
	}
	return text
}

// reserve asks the kernel, which gives as many as it can.
func (s System) reserve(n node, w Want) (got int64, err error) {
	file := filepath.Join(s.pages(n, w.Size), "nr_hugepages")
	pages, now := w.PerNUMA/w.Size, sysfs.Number(file, 0)
	if n.reserved < w.PerNUMA { // never fewer than the boot command line asked for
		now, err = raise(now, pages, func() (int64, error) {
			err := sysfs.Write(file, strconv.FormatInt(pages, 10))
			return sysfs.Number(file, 0), err
		})
		if err != nil {
			return n.reserved, fmt.Errorf("reserve huge pages on %s: %w", n.where(), err)
		}
	}
	if now < pages {
		return now * w.Size, fmt.Errorf("%s gave %d of %d pages of %s: the rest of its %s is in use or in pieces",
			n.where(), now, pages, size(w.Size), size(n.total))
	}
	return now * w.Size, nil
}

// raise asks until there are enough pages, or asking brings none. The kernel stops
// after its next page when a signal is pending for the thread that asks, and says
// nothing of it (set_max_huge_pages): PID 1 gets one whenever a process ends.
func raise(now, want int64, ask func() (int64, error)) (int64, error) {
	for now < want {
		before := now
		var err error
		if now, err = ask(); err != nil || now <= before {
			return now, err
		}
	}
	return now, nil
}

func (n node) where() string {
	if n.name == "" {
		return "the machine"
	}
	return "NUMA " + strings.Replace(n.name, "node", "node ", 1)
}

// size writes bytes as the configuration does.
func size(b int64) string {
	if b >= 1<<30 && b%(1<<30) == 0 {
		return fmt.Sprintf("%d GiB", b>>30)
	}
	return fmt.Sprintf("%d MiB", b>>20)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
