package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"weir/provisioning/enrolclient"
	"weir/qemu/topology"
	"weir/qemu/vm"
	"weir/services/config"
)

// EmptyBoot is how an empty machine became a node, in times since it was switched on.
type EmptyBoot struct {
	Firmware, DHCP string
	Loading        time.Duration // until provisiond told its iPXE what to load
	Pending        time.Duration // until it waited for approval
	Approved       time.Duration
	Announced      time.Duration // until the router used it
	Fingerprint    string        // of its key, as console and weirctl showed it
	Again          time.Duration // as Announced, of its second boot, which nobody approved

	Requests int    // sent through the cluster, over both boots
	Took     uint64 // connections that came in by this node
	Carried  uint64 // packets that it forwarded
	Lost     []error
}

// Requests of each boot: enough that ECMP sends each of three nodes many.
const emptyRequests = 300

// BootEmpty has an empty machine boot from provisiond with a firmware and a mode of
// DHCP, approves it as the last node of the running cluster, sends traffic through
// it, cuts its power, and lets it boot once more. It is left running: see
// RemoveEmpty.
func (l *Lab) BootEmpty(ctx context.Context, firmware, dhcp string) (b *EmptyBoot, err error) {
	k, ok := l.kind.(*empty)
	if !ok {
		return nil, errors.New("this lab has no empty machines")
	}
	b = &EmptyBoot{Firmware: firmware, DHCP: dhcp}
	next, err := topology.New(len(l.Top.Nodes)+1, len(l.Top.Servers))
	if err != nil {
		return b, err
	}
	n := next.Nodes[len(next.Nodes)-1]
	l.say("provisiond starts (DHCP: %s)", dhcp)
	if err := l.Provision(ctx, dhcp, n); err != nil {
		return b, err
	}
	routes, err := l.WatchRoutes()
	if err != nil {
		return b, err
	}
	defer routes.Close()
	k.bootsFrom(firmware)
	l.say("%s, empty, is switched on: %s", n.ID, firmware)
	started := time.Now()
	if n, err = l.AddNode(ctx); err != nil {
		return b, err
	}
	if err := l.approve(ctx, n, b, started); err != nil {
		return b, fmt.Errorf("%w\n%s", err, l.bootLogs(n))
	}
	if err := l.carries(ctx, n, routes, b, started, &b.Announced); err != nil {
		return b, fmt.Errorf("%w\n%s", err, l.bootLogs(n))
	}
	l.say("the power of %s is cut; it boots once more", n.ID)
	if err := l.PowerCycle(ctx, n, routes); err != nil {
		return b, err
	}
	if err := l.carries(ctx, n, routes, b, time.Now(), &b.Again); err != nil {
		return b, fmt.Errorf("second boot: %w\n%s", err, l.bootLogs(n))
	}
	list, err := l.Machines(ctx)
	if err == nil && (len(list) != 1 || list[0].State != "approved" || list[0].Fingerprint != b.Fingerprint) {
		err = fmt.Errorf("after the second boot provisiond knows %+v, not %s approved", list, b.Fingerprint)
	}
	return b, err
}

// clients are what provisiond calls a firmware's own client.
var clients = map[string]string{vm.NetworkBIOS: "ipxe", vm.NetworkPXE: "uefi", vm.NetworkHTTP: "uefi-http"}

// approve waits until the machine waits for its approval, compares what console and
// weirctl show, and approves it.
func (l *Lab) approve(ctx context.Context, n topology.Node, b *EmptyBoot, started time.Time) error {
	mac := n.MAC(topology.Control).String()
	log := filepath.Join(l.machineDir(topology.ControllerID), provisiondName+".log")
	var asked time.Time
	err := waitFor(ctx, 8*time.Minute, nil, func() error {
		if time.Since(asked) < time.Second {
			return fmt.Errorf("%s does not wait for approval", n.ID) // strangers who ask more often are held back
		}
		asked = time.Now()
		if text, err := os.ReadFile(log); err == nil && b.Loading == 0 && strings.Contains(string(text), "a machine boots") {
			b.Loading = time.Since(started)
		}
		list, err := l.Machines(ctx)
		if err != nil {
			return err
		}
		for _, m := range list {
			if m.State == "pending" && slices.Contains(m.MACs, mac) {
				b.Fingerprint = m.Fingerprint
				return nil
			}
		}
		return fmt.Errorf("%s does not wait for approval: %+v", n.ID, list)
	})
	if err != nil {
		return err
	}
	b.Pending = time.Since(started)
	asks := regexp.MustCompile(`\(` + clients[b.Firmware] + `\) (has address \S+ and )?is told to load`)
	if text, err := os.ReadFile(log); err != nil || !asks.Match(text) {
		return errors.Join(err, fmt.Errorf("provisiond was not asked by %s", b.Firmware))
	}
	err = waitFor(ctx, 10*time.Second, nil, func() error {
		if text, err := l.ConsoleText(n); err != nil || !strings.Contains(text, "its key's fingerprint is "+b.Fingerprint) {
			return errors.Join(err, fmt.Errorf("the console of %s does not show its fingerprint %s", n.ID, b.Fingerprint))
		}
		return nil
	})
	if err != nil {
		return err
	}
	out, err := l.WeirctlMachine(ctx, "approve", b.Fingerprint[:16])
	if err != nil {
		return err
	}
	b.Approved = time.Since(started)
	l.say("weirctl machine approve: %s", strings.TrimSpace(out))
	return nil
}

// carries waits until the router uses the node, and sends traffic through it.
func (l *Lab) carries(ctx context.Context, n topology.Node, routes *RouteWatch, b *EmptyBoot, started time.Time, announced *time.Duration) error {
	within, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	at, err := routes.Announced(within, n)
	if err != nil {
		return err
	}
	*announced = at.Sub(started)
	l.say("%s is announced after %.1f s", n.ID, announced.Seconds())
	client, targets := l.storyClient()
	tally := client.Requests(ctx, targets, emptyRequests, 10)
	b.Requests += emptyRequests
	b.Lost = append(b.Lost, tally.Lost...)
	status, err := l.NodeStatus(ctx, n)
	if err != nil {
		return err
	}
	counters := status.GetDataplane().GetCounters()
	if counters["syn_received"] == 0 || counters["ingress_forwarded"] == 0 {
		return fmt.Errorf("%s carried nothing: %v", n.ID, counters)
	}
	b.Took += counters["syn_received"]
	b.Carried += counters["ingress_forwarded"] + counters["egress_forwarded"]
	return nil
}

// PowerCycle cuts a machine's power, waits until the router does without it, and
// switches it on.
func (l *Lab) PowerCycle(ctx context.Context, n topology.Node, routes *RouteWatch) error {
	if err := l.Kill(n.ID); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := routes.Withdrawn(within, n); err != nil {
		return err
	}
	return l.Restart(n.ID)
}

// WithoutProvisiond has the machine that was approved boot while provisiond is away,
// as from a disk, with the words of its boots over the network.
func (l *Lab) WithoutProvisiond(ctx context.Context, n topology.Node) error {
	k, ok := l.kind.(*empty)
	if !ok {
		return errors.New("this lab has no empty machines")
	}
	pin, err := enrolclient.AuthorityOf(filepath.Join(l.pkiDir(), "ca.crt"))
	if err != nil {
		return err
	}
	routes, err := l.WatchRoutes()
	if err != nil {
		return err
	}
	defer routes.Close()
	l.say("provisiond ends, and %s boots without it", n.ID)
	if err := l.EndProvisiond(); err != nil {
		return err
	}
	was := k.machines.change
	defer func() { k.machines.change = was }()
	k.bootsWith(fmt.Sprintf("weir.enrol=%v:%d weir.enrol_ca=%s BOOTIF=01-%s", l.Top.ControllerControl.Addr(), config.EnrolPort, pin,
		strings.ReplaceAll(n.MAC(topology.Control).String(), ":", "-")))
	if err := l.PowerCycle(ctx, n, routes); err != nil {
		return err
	}
	if err := l.carries(ctx, n, routes, &EmptyBoot{}, time.Now(), new(time.Duration)); err != nil {
		return fmt.Errorf("%w\n%s", err, l.bootLogs(n))
	}
	return l.StartProvisiond(ctx)
}

// Revoked has an operator revoke the machine, which boots once more and is told.
func (l *Lab) Revoked(ctx context.Context, n topology.Node) error {
	if out, err := l.WeirctlMachine(ctx, "revoke", n.ID); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	routes, err := l.WatchRoutes()
	if err != nil {
		return err
	}
	defer routes.Close()
	l.say("%s is revoked, and boots once more", n.ID)
	if err := l.PowerCycle(ctx, n, routes); err != nil {
		return err
	}
	err = waitFor(ctx, 8*time.Minute, nil, func() error {
		if text, err := l.ConsoleText(n); err != nil || !strings.Contains(text, "this machine is revoked; it gets no configuration, and cannot join") {
			return errors.Join(err, fmt.Errorf("the console of %s does not say that it is revoked", n.ID))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, l.bootLogs(n))
	}
	return nil
}

// RemoveEmpty takes the machine out of the cluster, and provisiond with it.
func (l *Lab) RemoveEmpty(ctx context.Context) error {
	last := l.Top.Nodes[len(l.Top.Nodes)-1]
	return errors.Join(l.Kill(last.ID), l.RemoveNode(ctx), l.EndProvision())
}

// bootLogs are the ends of what tells of a boot.
func (l *Lab) bootLogs(n topology.Node) string {
	console, _ := l.ConsoleText(n)
	log, _ := os.ReadFile(filepath.Join(l.machineDir(topology.ControllerID), provisiondName+".log"))
	return fmt.Sprintf("provisiond:\n%s\nconsole of %s:\n%s", tail(string(log), 4<<10), n.ID, tail(console, 8<<10))
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
