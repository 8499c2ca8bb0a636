package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// anyNode says that it does not matter on which NUMA node something is.
const anyNode = -1

// pool are the huge pages of one size.
type pool struct {
	dir         string
	size        int64 // of a page, bytes
	free, total int
}

// pools are the huge pages of a NUMA node, the smallest size first; root is /sys.
func pools(root string, node int) ([]pool, error) {
	dir := filepath.Join(root, "kernel/mm/hugepages")
	if own := filepath.Join(root, fmt.Sprintf("devices/system/node/node%d/hugepages", node)); node != anyNode {
		if _, err := os.Stat(own); err == nil {
			dir = own
		}
	}
	var out []pool
	for _, size := range []int64{2 << 20, 1 << 30} {
		p := pool{dir: filepath.Join(dir, fmt.Sprintf("hugepages-%dkB", size>>10)), size: size}
		if _, err := os.Stat(p.dir); err != nil {
			continue // the processor or kernel does not have this size
		}
		var err error
		if p.free, err = readNumber(filepath.Join(p.dir, "free_hugepages")); err == nil {
			p.total, err = readNumber(filepath.Join(p.dir, "nr_hugepages"))
		}
		if err != nil {
			return nil, fmt.Errorf("count huge pages: %w", err)
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the kernel offers no huge pages of 2 MiB or 1 GiB in %s; set dataplane.hugepages to false in node.yaml", dir)
	}
	return out, nil
}

// checkHugepages looks whether so much memory in huge pages is free on a NUMA
// node. On an appliance init reserves them.
func checkHugepages(root string, need int64, node int, appliance bool) error {
	list, err := pools(root, node)
	if err != nil {
		return err
	}
	var free int64
	use := list[0]
	for _, p := range list {
		free += int64(p.free) * p.size
		if use.total == 0 && p.total > 0 {
			use = p // of the others there are none at all
		}
	}
	if free >= need {
		return nil
	}
	pages := int((need + use.size - 1) / use.size)
	where, remedy := "", fmt.Sprintf("sysctl -w vm.nr_hugepages=%d", use.total+pages-use.free)
	if node != anyNode {
		where, remedy = fmt.Sprintf(" on NUMA node %d", node), fmt.Sprintf("echo %d > %s/nr_hugepages", use.total+pages-use.free, use.dir)
	}
	if appliance {
		remedy = "raise machine.hugepages.per_numa in node.yaml, or lower dataplane.memory, and reboot"
	}
	return fmt.Errorf("needs %d free huge pages of %s%s, the machine has %d of %d free; reserve more: %s",
		pages, use.name(), where, use.free, use.total, remedy)
}

func (p *pool) name() string {
	if p.size == 1<<30 {
		return "1 GiB"
	}
	return "2 MiB"
}

func readNumber(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}
