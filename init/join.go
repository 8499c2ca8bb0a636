package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/status"

	"weir/init/cmdline"
	"weir/init/nodeconfig"
	"weir/init/phase"
	"weir/init/state"
	"weir/provisioning/enrolclient"
	"weir/services/api"
	"weir/services/version"
)

// identityDir has the machine's key and certificate.
const identityDir = state.Dir + "/identity"

const (
	joinLimit = 20 * time.Second // for what is meant for an approved machine, as for fetchLimit
	// A machine that waits for its approval begins anew after that: its address on
	// the network is lent to it for some time only.
	approvalLimit = 10 * time.Minute
)

// enrols is this machine as it enrols: as the boot command line says, or as it was
// enrolled once if nothing else is said. Nil: its identity is somebody else's care.
func (n *node) enrols(from cmdline.Source, e cmdline.Enrolment) *enrolclient.Machine {
	m := &enrolclient.Machine{Dir: identityDir, Version: version.Version, Address: e.Address, Fingerprint: e.Authority}
	if e == (cmdline.Enrolment{}) {
		var err error
		if from.Kind != cmdline.Anywhere {
			return nil
		}
		if m, err = enrolclient.Recall(identityDir, version.Version); err != nil {
			return nil
		}
	}
	return m
}

// hardware is what the machine says of itself: the NIC that it booted from first.
func (n *node) hardware(line cmdline.Line) *api.MachineIdentity {
	var macs []string
	for _, nic := range n.system.List() {
		macs = append(macs, nic.MAC)
	}
	if want, err := line.Network(); err == nil && want.MAC != "" {
		macs = slices.Insert(macs, 0, want.MAC)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return enrolclient.Hardware(slices.Compact(macs), n.identity.Serial, n.identity.UUID)
}

// join gets what is meant for this machine, once it is approved. One that is a
// member already does not wait for the service: it has its last good configuration.
func (n *node) join(ctx context.Context, line cmdline.Line, l *nodeconfig.Loader, m *enrolclient.Machine) (*nodeconfig.Loaded, phase.Outcome) {
	source := "provisiond at " + m.Address
	member, limit := m.Known(), approvalLimit
	if member {
		limit = joinLimit
	}
	var last phase.Outcome // of waiting
	var c *api.MachineConfiguration
	var notInstalled error
	err := n.withNetwork(ctx, line, source, func(ctx context.Context) (err error) {
		asking, stop := context.WithTimeout(ctx, limit)
		defer stop()
		m.Hardware = n.hardware(line)
		c, err = m.Configuration(asking, func(fingerprint string, err error) {
			last = waits(source, fingerprint, err)
			n.phases.Update(phaseConfiguration, last)
		})
		if err == nil && c.Install && line.Slot() == "net" {
			notInstalled = n.install(ctx, line)
		}
		return err
	})
	if err == nil && c.NodeYaml == "" {
		err = errors.New("this machine is enrolled as a server, which does not boot this image")
	}
	switch {
	case err == nil && notInstalled != nil:
		loaded, o := l.Take(source, provisiondFile, []byte(c.NodeYaml))
		if o.Result == phase.OK {
			o = phase.Degrade("correct that and reboot, or take install out of provisiond.yaml", "%s; it is not installed to a disk: %v", o.Reason, notInstalled)
		}
		return loaded, o
	case err == nil:
		return l.Take(source, provisiondFile, []byte(c.NodeYaml))
	case errors.Is(err, enrolclient.ErrRevoked):
		return nil, phase.Fail("if it may come back, remove "+identityDir+" in the console's shell: it makes a new key, to be approved",
			"%s: %v; it gets no configuration, and cannot join", source, err)
	case errors.Is(err, enrolclient.ErrForgotten):
		return l.LastGood(source, "approve it once more: weirctl machine approve", fmt.Errorf("%s: %w", source, err))
	case member:
		return l.LastGood(source, provisiondRemedy, fmt.Errorf("%s: %s", source, status.Convert(err).Message()))
	case last.Reason != "":
		return nil, last
	}
	return nil, phase.Fail(provisiondRemedy, "%s: %v", source, err)
}

const provisiondFile = "correct machines and template in provisiond.yaml, and restart provisiond; then reboot"

const provisiondRemedy = "look whether provisiond and the way to it are up, and reboot"

// kept is where the machine's key is.
func kept() string {
	key, err := enrolclient.Key(identityDir)
	if err != nil {
		return "lost: " + err.Error()
	}
	return enrolclient.Kept(key)
}

// waits is how a machine stands that is not approved.
func waits(source, fingerprint string, err error) phase.Outcome {
	if err != nil {
		return phase.Fail(provisiondRemedy, "%s: %s", source, status.Convert(err).Message())
	}
	return phase.Fail("compare the fingerprint, then: weirctl machine approve "+fingerprint[:16],
		"this machine waits for approval; its key's fingerprint is %s; the key is %s", fingerprint, kept())
}
