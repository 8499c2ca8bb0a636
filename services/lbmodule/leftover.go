package main

import (
	"fmt"

	"weir/services/lbmodule/bpf"
	"weir/services/lbmodule/netdev"
)

// mark is what the module's interface says of this module.
func (m *module) mark() netdev.Mark { return netdev.Mark{Uplink: m.uplink, PinDir: m.file.BPFDir} }

// former looks for the data path of an earlier agent and returns the uplink that
// it is on; empty: there is none. It is an error if it was made with another
// interface or other pins: two of them would take each other's packets.
func (s *settings) former() (uplink string, err error) {
	marked, err := netdev.Marked()
	if err != nil {
		return "", err
	}
	for name, m := range marked {
		if name != s.file.Interface || m.PinDir != s.file.BPFDir {
			return "", fmt.Errorf("the data path of an earlier configuration is still there (interface %s, pins in %s); "+
				"to change server, interface or bpf_dir run lbmodule uninstall first, which ends its connections", name, m.PinDir)
		}
	}
	return marked[s.file.Interface].Uplink, nil
}

// leave takes the programs off the uplink of an earlier agent, if it was
// another than the present one. Links have moved by themselves.
func (m *module) leave(uplink string) error {
	index := indexOf(uplink)
	if uplink == m.uplink || index == 0 {
		return nil
	}
	return bpf.DetachFilters(index)
}
