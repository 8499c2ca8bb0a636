package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir/init/cmdline"
	"weir/init/kernel"
	"weir/init/network"
	"weir/init/nic"
	"weir/init/nodeconfig"
	"weir/init/phase"
	"weir/services/config"
	"weir/services/wholefile"
)

// Resolved is the configuration as the services get it.
const resolved = "/run/weir/node.yaml"

const (
	addressLimit = 25 * time.Second // for a DHCP server's answer; links come up in the meantime
	fetchLimit   = 20 * time.Second // for the configuration, once there is an address
)

// configure gets the configuration and writes it for the services.
func (n *node) configure(ctx context.Context) phase.Outcome {
	n.mu.Lock()
	line := n.line
	n.mu.Unlock()
	l := &nodeconfig.Loader{}
	l.Fetch = func(ctx context.Context, url string) ([]byte, error) { return n.fetch(ctx, line, l, url) }
	var c *nodeconfig.Loaded
	var o phase.Outcome
	from, err := line.Source()
	var enrolment cmdline.Enrolment
	if err == nil {
		enrolment, err = line.Enrolment()
	}
	switch m := n.enrols(from, enrolment); {
	case err != nil:
		c, o = l.LastGood(from.String(), "correct it on the boot command line", err)
	case m != nil:
		c, o = n.join(ctx, line, l, m)
	default:
		c, o = l.Load(ctx, from)
	}
	if c == nil {
		return o
	}
	assigned := n.awaitNICs(nic.Wants(c.Node))
	pci := map[string]string{}
	for _, a := range assigned {
		if a.Role != "" && a.Err == nil {
			pci[a.Device] = a.PCI
		}
	}
	var text []byte
	text, err = nodeconfig.Resolved(c.Text, pci)
	if err == nil {
		// First: noded keeps it as the last good one, and starts with the other.
		err = wholefile.Replace(resolved+config.SourceSuffix, c.Text)
	}
	if err == nil {
		err = wholefile.Replace(resolved, text)
	}
	if err != nil {
		return phase.Fail("report this as a defect", "%v", err)
	}
	n.mu.Lock()
	n.config, n.nics = c, assigned
	n.mu.Unlock()
	return o
}

// nicsWait is how long a NIC that the configuration names may take to appear:
// some drivers go on after their module is loaded.
const nicsWait = 3 * time.Second

// awaitNICs finds the NICs that are wanted, or gives up on some.
func (n *node) awaitNICs(wants []nic.Want) []nic.Assigned {
	for deadline := time.Now().Add(nicsWait); ; time.Sleep(nicsWait / 60) {
		list := nic.Assign(n.system.List(), wants)
		missing := slices.ContainsFunc(list, func(a nic.Assigned) bool { return a.Err != nil })
		if !missing || time.Now().After(deadline) {
			return list
		}
	}
}

// fetch brings up any network for as long as it takes to get the configuration.
func (n *node) fetch(ctx context.Context, line cmdline.Line, l *nodeconfig.Loader, url string) (text []byte, err error) {
	err = n.withNetwork(ctx, line, redacted(line), func(ctx context.Context) error {
		ctx, stop := context.WithTimeout(ctx, fetchLimit)
		defer stop()
		text, err = l.FetchHTTP(ctx, url)
		return err
	})
	return text, err
}

// withNetwork brings up any network for as long as something from elsewhere takes.
func (n *node) withNetwork(ctx context.Context, line cmdline.Line, from string, do func(context.Context) error) error {
	want, err := line.Network()
	if err != nil {
		return err
	}
	early, ready, err := network.StartEarly(ctx, want, n.system.List())
	defer early.Stop()
	if err != nil {
		return err
	}
	select {
	case <-ready:
	case <-time.After(addressLimit):
		return fmt.Errorf("no address to fetch %s from: %s", from, early.Errors())
	}
	return do(ctx)
}

func redacted(line cmdline.Line) string {
	from, _ := line.Source()
	return from.String()
}

// mayComeLater: what has to be fetched may be there in a while; a file will not.
func (n *node) mayComeLater() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	from, err := n.line.Source()
	enrolment, wrong := n.line.Enrolment()
	return err == nil && wrong == nil && (from.Kind == cmdline.URL || n.enrols(from, enrolment) != nil)
}

// withoutConfiguration says what the node does not do without one.
func (n *node) withoutConfiguration() {
	for _, name := range []string{phaseNetwork, phaseHugepages, phaseNICs} {
		n.phases.Run(name, func() phase.Outcome { return phase.Skip("the node has no configuration") })
	}
	n.phases.Run(phaseKernel, func() phase.Outcome { return kernel.Set("", nil) })
	n.phases.Run(phaseServices, func() phase.Outcome { return phase.Skip("the node has no configuration: only the console runs") })
}

var errNoNIC = errors.New("the configuration names no such NIC")

// assigned is the NIC of a role.
func (n *node) assigned(role string) nic.Assigned {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.nics {
		if a.Role == role {
			return a
		}
	}
	return nic.Assigned{Err: errNoNIC}
}

// unassigned are NICs before a configuration says what they are for.
func unassigned(all []nic.NIC) []nic.Assigned { return nic.Assign(all, nil) }
