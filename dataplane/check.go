package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// hugepageSize is the only size that is used, in bytes.
const hugepageSize = 2 << 20

const hugepageDir = "/sys/kernel/mm/hugepages/hugepages-2048kB"

var errRoot = errors.New("needs root: it takes NICs over and reserves memory; run it as root")

// checkMachine looks for what DPDK would miss later, in less clear words.
func checkMachine(memory int64, hugepages bool) error {
	if os.Geteuid() != 0 {
		return errRoot
	}
	if !hugepages {
		return nil
	}
	return checkHugepages(hugepageDir, int(memory/hugepageSize))
}

// checkHugepages looks whether so many huge pages are free.
func checkHugepages(dir string, need int) error {
	free, err := readNumber(filepath.Join(dir, "free_hugepages"))
	if err != nil {
		return fmt.Errorf("the kernel offers no huge pages of 2 MiB; set dataplane.hugepages to false in node.yaml: %w", err)
	}
	if free >= need {
		return nil
	}
	total, err := readNumber(filepath.Join(dir, "nr_hugepages"))
	if err != nil {
		return fmt.Errorf("count huge pages: %w", err)
	}
	return fmt.Errorf("needs %d free huge pages of 2 MiB, the machine has %d of %d free; reserve more: sysctl -w vm.nr_hugepages=%d",
		need, free, total, total+need-free)
}

func readNumber(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}
