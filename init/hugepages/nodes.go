package hugepages

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"weir/init/sysfs"
)

// nodes lists the NUMA nodes that have memory.
func (s System) nodes(page int64) ([]node, error) {
	dirs, _ := filepath.Glob(filepath.Join(s.Root, "/sys/devices/system/node/node[0-9]*"))
	var all []node
	for _, dir := range dirs {
		n := node{name: filepath.Base(dir)}
		if err := n.readMemory(filepath.Join(dir, "meminfo")); err != nil {
			return nil, err
		}
		if n.total > 0 {
			all = append(all, n)
		}
	}
	if len(all) == 0 { // a kernel without NUMA
		n := node{}
		if err := n.readMemory(filepath.Join(s.Root, "/proc/meminfo")); err != nil {
			return nil, err
		}
		all = []node{n}
	}
	for i := range all {
		pages := sysfs.Number(filepath.Join(s.pages(all[i], page), "nr_hugepages"), -1)
		if pages < 0 {
			return nil, fmt.Errorf("%s has no huge pages of %s", all[i].where(), size(page))
		}
		all[i].reserved = pages * page
	}
	return all, nil
}

// pages is the folder of the node's huge pages of that size.
func (s System) pages(n node, page int64) string {
	dir := "/sys/kernel/mm"
	if n.name != "" {
		dir = "/sys/devices/system/node/" + n.name
	}
	return filepath.Join(s.Root, dir, "hugepages", fmt.Sprintf("hugepages-%dkB", page>>10))
}

// readMemory reads "Node 0 MemTotal:  4026144 kB" or "MemTotal:  4026144 kB".
func (n *node) readMemory(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("how much memory there is: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) > 4 {
			words = words[2:]
		}
		if len(words) < 2 {
			continue
		}
		kb, _ := strconv.ParseInt(words[1], 10, 64)
		switch words[0] {
		case "MemTotal:":
			n.total = kb << 10
		case "MemFree:":
			n.free = kb << 10
		}
	}
	return nil
}
