package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/init/clock"
	"weir/init/cpus"
	"weir/init/hugepages"
	"weir/init/kernel"
	"weir/init/network"
	"weir/init/nic"
	"weir/init/nodeconfig"
	"weir/init/phase"
	"weir/services/config"
)

// bringUp makes of the machine what the configuration wants.
func (n *node) bringUp(ctx context.Context, c *nodeconfig.Loaded) {
	n.dog.arm(c.Node.Machine.Watchdog)
	n.phase(phaseNetwork, func() phase.Outcome { return n.bringUpNetwork(ctx, c.Node) })
	n.end.Go(func() { n.clock.Keep(ctx, c.Node.Machine.NTP, clock.AskNTP, n.updateClock) })
	n.phase(phaseHugepages, func() phase.Outcome { return reserve(c.Node) })
	n.phase(phaseNICs, func() phase.Outcome { return n.bindNICs(c.Node) })
	n.phase(phaseKernel, func() phase.Outcome { return n.setKernel(c.Node) })
	n.phase(phaseServices, func() phase.Outcome { return n.awaitServices(ctx) })
}

func (n *node) updateClock(o phase.Outcome) { n.phases.Update(phaseClock, o) }

// controlWait is how long the boot waits for the control network's DHCP server.
const controlWait = 3 * time.Second

// bringUpNetwork makes the exception interfaces, which the node cannot do
// without, and the control network, which it can.
func (n *node) bringUpNetwork(ctx context.Context, c *config.Node) phase.Outcome {
	if err := n.load("tun"); err != nil {
		n.tell(err.Error()) // it may be built in; if not, the next step fails and says so
	}
	if err := network.Exceptions(c, n.assigned(nic.North).MAC, n.assigned(nic.South).MAC); err != nil {
		return phase.Fail("correct machine.north and machine.south, or report this as a defect", "%v", err)
	}
	if !c.Machine.Control.InUse() {
		return phase.Detail("no control network")
	}
	control := n.assigned(nic.Control)
	if control.Err != nil {
		return phase.Degrade("correct machine.control.device, or put the card in", "control network: %v", control.Err)
	}
	if control.Interface == "" {
		return phase.Degrade("use a card that this image has a driver for", "control network: no kernel driver has %s", control.NIC)
	}
	err := network.Control(ctx, control.Interface, c.Machine.Control, controlWait, n.updateControl)
	if err != nil {
		return phase.Degrade("look at the control network's cable and its DHCP server, or correct machine.control", "%v", err)
	}
	return phase.Detail("control network on %s", control.NIC)
}

func (n *node) updateControl(l network.Lease, err error) {
	if n.phases.Result(phaseNetwork) == phase.Running {
		return // the phase tells by itself
	}
	if err != nil {
		n.phases.Update(phaseNetwork, phase.Degrade("look at the control network's cable and its DHCP server", "control network: %v", err))
		return
	}
	n.phases.Update(phaseNetwork, phase.Detail("control network at %s by DHCP", l.Address))
}

func reserve(c *config.Node) phase.Outcome {
	if !c.Dataplane.Hugepages {
		return phase.Detail("none: dataplane.hugepages is false")
	}
	h := c.Machine.Hugepages
	return hugepages.System{}.Reserve(hugepages.Want{Size: int64(h.Size), PerNUMA: int64(h.PerNUMA), Needed: int64(c.Dataplane.Memory)})
}

// bindNICs gives north and south to the packet processor.
func (n *node) bindNICs(c *config.Node) phase.Outcome {
	const remedy = "correct dataplane.north and dataplane.south in node.yaml, or put the card in, and reboot"
	var failed []error
	var bound, both []string
	for _, w := range nic.Wants(c) {
		if a := n.assigned(w.Role); w.Role != nic.Control && a.Err == nil {
			both = append(both, a.PCI)
		}
	}
	for _, w := range nic.Wants(c) {
		if w.Role == nic.Control {
			continue
		}
		a := n.assigned(w.Role)
		err := a.Err
		if err == nil {
			if err = n.system.Bind(a.NIC, both); err != nil {
				n.spoil(w.Role, err)
			}
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", w.Role, err))
			continue
		}
		bound = append(bound, fmt.Sprintf("%s %s", w.Role, a.PCI))
	}
	if err := errors.Join(failed...); err != nil {
		return phase.Fail(remedy, "%v", err)
	}
	return phase.Detail("%s", strings.Join(bound, ", "))
}

// spoil records why a NIC cannot be used.
func (n *node) spoil(role string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.nics {
		if n.nics[i].Role == role {
			n.nics[i].Err = err
		}
	}
}

// setKernel sets options, and keeps the packet processor's cores free.
func (n *node) setKernel(c *config.Node) phase.Outcome {
	o := kernel.Set("", c.Machine.Sysctls)
	layout := c.Dataplane.Layout
	kept := slices.Concat(layout.RX, layout.TX, layout.Workers)
	if len(kept) == 0 {
		return o
	}
	rest, err := cpus.Rest("", kept)
	if err == nil {
		cpus.Kernel("", rest)
		err = n.super.Reserve(rest)
	}
	switch {
	case err != nil:
		return phase.Degrade("correct dataplane.layout in node.yaml", "the packet processor's cores are not kept free: %v", errors.Join(err, failure(o)))
	case o.Result == phase.OK:
		return phase.Detail("all but the packet processor runs on cores %s", rest)
	}
	return o
}

// failure is what went wrong, or nil.
func failure(o phase.Outcome) error {
	if o.Result == phase.OK {
		return nil
	}
	return errors.New(o.Reason)
}
