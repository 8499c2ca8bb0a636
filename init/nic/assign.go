package nic

import (
	"fmt"

	"weir/services/config"
)

// Roles of a NIC.
const (
	North   = "north"
	South   = "south"
	Control = "control"
)

// Want is a NIC that the configuration asks for.
type Want struct {
	Role, Device string
}

// Wants lists the NICs that a configuration asks for. What stays an interface of
// the kernel (af_packet) is none of them.
func Wants(c *config.Node) []Want {
	var w []Want
	for _, side := range []struct {
		role string
		nic  config.NIC
	}{{North, c.Dataplane.North}, {South, c.Dataplane.South}} {
		if side.nic.Kind() != config.DeviceAFPacket {
			w = append(w, Want{side.role, side.nic.Device})
		}
	}
	if c.Machine != nil && c.Machine.Control.InUse() {
		w = append(w, Want{Control, c.Machine.Control.Device})
	}
	return w
}

// Assigned is a NIC with what it is for. One that is wanted and not there has
// an empty PCI address; one that nobody wants has no role.
type Assigned struct {
	NIC
	Want
	Err error // why it cannot be used
}

// Assign finds the NICs that are wanted, in their order; those that are left
// come after them.
func Assign(all []NIC, wants []Want) []Assigned {
	var list []Assigned
	taken := map[string]string{}
	for _, w := range wants {
		a := Assigned{Want: w}
		a.NIC, a.Err = Find(all, w.Device)
		if other := taken[a.PCI]; a.Err == nil && other != "" {
			a.Err = fmt.Errorf("%s is the NIC that %s has already", w.Device, other)
			a.NIC = NIC{}
		}
		if a.Err == nil {
			taken[a.PCI] = w.Role
		}
		list = append(list, a)
	}
	for _, n := range all {
		if taken[n.PCI] == "" {
			list = append(list, Assigned{NIC: n})
		}
	}
	return list
}
