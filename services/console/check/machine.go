package check

import (
	"context"
	"fmt"

	"weir/services/api"
	"weir/services/config"
)

// sides are those that the dataplane owns.
var sides = []string{"north", "south"}

// nics looks whether every NIC was found and bound.
func (r *run) nics(context.Context) {
	if r.f.Boot == nil {
		r.fail("network cards", "the other checks go on; if init stays silent: reboot", "%v", r.f.BootErr)
		return
	}
	wanted := sides
	if m := r.machine(); m != nil && m.Control.InUse() {
		wanted = append(sides[:2:2], "control")
	}
	reason, remedy := "the boot phase nics did not find it", "see: nics, and compare with machine and dataplane in node.yaml"
	for _, p := range r.f.Boot.Phases {
		if p.Name == "nics" && (p.Result == "failed" || p.Result == "degraded") {
			reason = p.Reason
			if p.Remedy != "" {
				remedy = p.Remedy
			}
		}
	}
	for _, role := range wanted {
		name := role + " NIC"
		n := r.nic(role)
		switch {
		case n == nil:
			r.fail(name, remedy, "%s", reason)
			r.broken(role, "there is no "+role+" NIC")
		case n.Error != "":
			r.fail(name, remedy, "%s", n.Error)
			r.broken(role, "the "+role+" NIC cannot be used")
		default:
			r.ok(name, "%s %s, driver %s", n.Pci, n.Mac, n.Driver)
		}
	}
}

func (r *run) nic(role string) *api.Nic {
	for _, n := range r.f.Boot.GetNics() {
		if n.Role == role {
			return n
		}
	}
	return nil
}

func (r *run) machine() *config.Machine {
	if r.f.File == nil {
		return nil
	}
	return r.f.File.Machine
}

// programs looks whether dataplane and control plane answer.
func (r *run) programs(context.Context) {
	if r.f.File == nil {
		r.fail("configuration", "see: config errors", "none is in force, so addresses and routers are not known")
	}
	if d := r.f.Dataplane; d != nil {
		r.ok("dataplane", "answers, version %s", d.Version)
	} else {
		r.fail("dataplane", "see: services, logs dataplane", "%v; no packet crosses the NICs", r.f.DataplaneErr)
		for _, side := range sides {
			r.broken(side, "the dataplane does not run")
		}
	}
	if n := r.f.Node; n != nil {
		r.ok("control plane", "answers, node %s of cluster %s", n.Id, n.Cluster)
	} else {
		r.fail("control plane", "see: services, logs noded", "%v", r.f.NodeErr)
	}
}

// links looks for carrier: the dataplane's word for its NICs, the kernel's for
// the control NIC.
func (r *run) links(context.Context) {
	for _, p := range r.f.Dataplane.GetPorts() {
		name := p.Name + " link"
		if !p.LinkUp {
			r.fail(name, "check cable, transceiver and the switch port", "no carrier on %s", p.Device)
			r.broken(p.Name, "the "+p.Name+" link is down")
			continue
		}
		r.ok(name, "up; %d frames received, %d sent", p.RxPackets, p.TxPackets)
	}
	if n := r.nic("control"); n != nil && n.Error == "" {
		switch l := r.f.Link(n.Mac); {
		case l == nil:
			r.fail("control link", "see: logs kernel", "the kernel has no interface with %s", n.Mac)
			r.broken("control", "the control NIC has no driver")
		case !l.Up:
			r.fail("control link", "check cable and the switch port", "no carrier on %s", l.Name)
			r.broken("control", "the control link is down")
		default:
			r.ok("control link", "up, %s; %d frames received, %d sent", l.Name, l.RxPackets, l.TxPackets)
		}
	}
	for _, side := range sides {
		r.exception(side)
	}
}

// exception looks whether the kernel's end of a side is there.
func (r *run) exception(side string) {
	iface := r.iface(side)
	if iface == "" || r.down[side] != "" {
		return
	}
	if l := r.f.Named(iface); l == nil || !l.Up {
		state := "is missing"
		if l != nil {
			state = "is down"
		}
		r.fail(side+" exception path", "restart dataplane; if it stays so: reboot", "interface %s %s", iface, state)
		r.broken(side, fmt.Sprintf("interface %s %s", iface, state))
	}
}

// iface is the exception interface of a side; empty: not known.
func (r *run) iface(side string) string {
	switch {
	case r.f.File == nil:
		return ""
	case side == "north":
		return r.f.File.Dataplane.North.Exception
	}
	return r.f.File.Dataplane.South.Exception
}
