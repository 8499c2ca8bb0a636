package main

import (
	"errors"
	"os"

	"weir/services/config"
)

var errRoot = errors.New("needs root: it takes NICs over and reserves memory; run it as root")

// checkMachine looks for what DPDK would miss later, in less clear words. The
// NUMA node is where memory shall be; anyNode: it does not matter.
func checkMachine(file *config.Node) (node int, err error) {
	if os.Geteuid() != 0 {
		return anyNode, errRoot
	}
	const sys = "/sys"
	c := &file.Dataplane
	node = anyNode
	for _, side := range []struct {
		key string
		nic config.NIC
	}{{"dataplane.north.device", c.North}, {"dataplane.south.device", c.South}} {
		switch side.nic.Kind() {
		case config.DeviceMAC:
			return anyNode, errUnresolved(side.key, side.nic)
		case config.DevicePCI:
			at, err := checkNIC(sys, side.key, side.nic.Name())
			if err != nil {
				return anyNode, err
			}
			if node == anyNode {
				node = at // the north's, if they differ
			}
		}
	}
	if !c.Hugepages {
		return node, nil
	}
	return node, checkHugepages(sys, int64(c.Memory), node, file.Machine != nil)
}
