package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"weir/services/console/facts"
	"weir/services/console/report"
	"weir/services/console/terminal"
)

// table aligns columns, two spaces apart.
func table(rows [][]string) (out []string) {
	var widths []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len(c))
		}
	}
	for _, r := range rows {
		var b strings.Builder
		for i, c := range r {
			if i == len(r)-1 {
				b.WriteString(c)
			} else {
				fmt.Fprintf(&b, "%-*s  ", widths[i], c)
			}
		}
		out = append(out, strings.TrimRight(b.String(), " "))
	}
	return out
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func yesNo(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// shown is a command without arguments that shows a part of the facts.
func shown(s *session, ctx context.Context, args []string, lines func(*facts.Facts) ([]string, error)) error {
	if len(args) > 0 {
		return errUsage
	}
	out, err := lines(s.gather(ctx))
	if err != nil {
		return err
	}
	return s.page(out)
}

func showStatus(s *session, ctx context.Context, args []string) error {
	return shown(s, ctx, args, func(f *facts.Facts) ([]string, error) { return report.Status(f), nil })
}

// phaseDetail is what fits beside a phase, in characters.
const phaseDetail = 32

func showPhases(s *session, ctx context.Context, args []string) error {
	return shown(s, ctx, args, func(f *facts.Facts) ([]string, error) {
		if f.Boot == nil {
			return nil, f.BootErr
		}
		rows := [][]string{{"PHASE", "RESULT", "STARTED", "TOOK", ""}}
		var notes []string
		for _, p := range f.Boot.Phases {
			row := []string{p.Name, p.Result, fmt.Sprintf("%.2f s", p.StartedSeconds), fmt.Sprintf("%.2f s", p.TookSeconds), ""}
			if report.Bad(p) {
				notes = append(notes, "", fmt.Sprintf("%s %s: %s", p.Name, p.Result, p.Reason), "  -> "+p.Remedy)
			} else {
				row[4] = terminal.Cut(p.Reason, phaseDetail)
			}
			rows = append(rows, row)
		}
		if m := f.Node.GetMilestones(); m != nil {
			for _, v := range []struct {
				name string
				at   float64
			}{{"dataplane ready", m.DataplaneReady}, {"state complete", m.StateComplete}, {"announced", m.Announced}, {"traffic ready", m.TrafficReady}} {
				rows = append(rows, []string{v.name, yesNo(v.at > 0, "reached", "-"), yesNo(v.at > 0, fmt.Sprintf("%.2f s", v.at), "-")})
			}
		}
		return append(table(rows), notes...), nil
	})
}

func showNICs(s *session, ctx context.Context, args []string) error {
	return shown(s, ctx, args, func(f *facts.Facts) ([]string, error) {
		if f.Boot == nil {
			return nil, f.BootErr
		}
		rows := [][]string{{"ROLE", "PCI", "MAC", "DEVICE", "DRIVER", "NUMA", "CONFIGURED AS"}}
		var notes []string
		for _, n := range f.Boot.Nics {
			rows = append(rows, []string{dash(n.Role), dash(n.Pci), dash(n.Mac), dash(n.VendorDevice), dash(n.Driver), fmt.Sprint(n.Numa), dash(n.Wanted)})
			if n.Error != "" {
				notes = append(notes, "", fmt.Sprintf("%s %s: %s", dash(n.Role), dash(n.Pci), n.Error))
			}
		}
		return append(table(rows), notes...), nil
	})
}

func showLinks(s *session, ctx context.Context, args []string) error {
	return shown(s, ctx, args, func(f *facts.Facts) ([]string, error) {
		rows := [][]string{{"PORT", "LINK", "RX", "TX", "LOST", "DEVICE"}}
		var notes []string
		for _, p := range f.Dataplane.GetPorts() {
			rows = append(rows, []string{p.Name, yesNo(p.LinkUp, "up", "DOWN"), fmt.Sprint(p.RxPackets), fmt.Sprint(p.TxPackets),
				fmt.Sprint(p.RxMissed + p.RxErrors + p.TxErrors + p.TxFull), fmt.Sprintf("%s %s", p.Device, net.HardwareAddr(p.Mac))})
		}
		if f.Dataplane == nil {
			notes = append(notes, "", "north and south: "+f.DataplaneErr.Error())
		}
		for _, l := range f.Links {
			rows = append(rows, []string{l.Name, yesNo(l.Up, "up", "DOWN"), fmt.Sprint(l.RxPackets), fmt.Sprint(l.TxPackets), "-", "kernel " + l.MAC})
		}
		out := append(table(rows), notes...)
		if n := f.Dataplane.GetNeighbours(); len(n) > 0 {
			hops := [][]string{{"NEXT HOP", "ADDRESS", "PORT", "MAC", "STATE"}}
			for _, h := range n {
				hops = append(hops, []string{h.Id, net.IP(h.Address).String(), h.Port, dash(net.HardwareAddr(h.Mac).String()), h.State})
			}
			out = append(append(out, ""), table(hops)...)
		}
		return out, nil
	})
}

func showBGP(s *session, ctx context.Context, args []string) error {
	return shown(s, ctx, args, func(f *facts.Facts) ([]string, error) {
		if f.Node == nil {
			return nil, f.NodeErr
		}
		rows := [][]string{{"ANNOUNCES", "SLOT", "SOURCE", "ROUTER", "STATE", "FOR", "PREFIXES", "LOSSES"}}
		var notes []string
		for _, b := range f.Node.Bgp {
			rows = append(rows, []string{b.Advertises, b.Slot, b.Source, b.Peer, b.State, report.Span(b.SinceSeconds), fmt.Sprint(b.Prefixes), fmt.Sprint(b.Losses)})
			if b.Reason != "" {
				notes = append(notes, "", fmt.Sprintf("%s for %s: %s", b.Peer, b.Advertises, b.Reason))
			}
		}
		return append(table(rows), notes...), nil
	})
}

func showNodes(s *session, ctx context.Context, args []string) error {
	return shown(s, ctx, args, func(f *facts.Facts) ([]string, error) {
		if f.Node == nil {
			return nil, f.NodeErr
		}
		rows := [][]string{{"NODE", "HEALTH", "PHASE", "RING", "NORTH", "SOUTH", "RTT NORTH", "RTT SOUTH"}}
		for _, n := range f.Node.Nodes {
			rtt := func(ms float64) string { return yesNo(ms > 0, fmt.Sprintf("%.2f ms", ms), "-") }
			rows = append(rows, []string{n.Id, n.Health, dash(n.Phase), fmt.Sprintf("%.1f%%", 100*n.RingShare), n.North, n.South, rtt(n.RttNorthMs), rtt(n.RttSouthMs)})
		}
		return append(table(rows), "", fmt.Sprintf("ring %d, %s", f.Node.RingEpoch, yesNo(f.Node.Settled, "settled", "changing"))), nil
	})
}

func showServers(s *session, ctx context.Context, args []string) error {
	return shown(s, ctx, args, func(f *facts.Facts) ([]string, error) {
		if f.Node == nil {
			return nil, f.NodeErr
		}
		rows := [][]string{{"SERVER", "HEALTH", "WEIGHT", "ADDRESS", "CHECKED HERE", "LAST CHECK"}}
		for _, v := range f.Node.Servers {
			rows = append(rows, []string{v.Id, v.Health + yesNo(v.Dead, " (dead)", ""), fmt.Sprint(v.Weight), v.Address, yesNo(v.CheckedHere, "yes", "no"), dash(v.CheckError)})
		}
		return table(rows), nil
	})
}

func showFlows(s *session, ctx context.Context, args []string) error {
	return shown(s, ctx, args, func(f *facts.Facts) ([]string, error) {
		d := f.Dataplane
		if d == nil {
			return nil, f.DataplaneErr
		}
		w := d.Flows
		out := table([][]string{{"FLOWS", "NOW", "ROOM"},
			{"established", fmt.Sprint(w.GetEstablished()), fmt.Sprint(w.GetCapacity())},
			{"half-open", fmt.Sprint(w.GetHalfOpen()), fmt.Sprint(w.GetHalfOpenCapacity())},
			{"pending", fmt.Sprint(w.GetPending()), "-"},
			{"buffers free", fmt.Sprint(d.BuffersFree), fmt.Sprint(d.BuffersCapacity)}})
		threads := [][]string{{"THREAD", "CORE", "BUSY", "PACKETS"}}
		for _, t := range d.Workers {
			threads = append(threads, []string{t.Stage, yesNo(t.Core >= 0, fmt.Sprint(t.Core), "any"), fmt.Sprintf("%.0f%%", 100*t.Busy), fmt.Sprint(t.Packets)})
		}
		out = append(append(out, ""), table(threads)...)
		drops := [][]string{{"DROPPED", "COUNT"}}
		for _, reason := range slices.Sorted(maps.Keys(d.Drops)) {
			if d.Drops[reason] > 0 {
				drops = append(drops, []string{reason, fmt.Sprint(d.Drops[reason])})
			}
		}
		if len(drops) > 1 {
			out = append(append(out, ""), table(drops)...)
		}
		return out, nil
	})
}

func showServices(s *session, ctx context.Context, args []string) error {
	return shown(s, ctx, args, func(f *facts.Facts) ([]string, error) {
		if f.BootErr != nil {
			return nil, f.BootErr
		}
		rows := [][]string{{"SERVICE", "STATE", "FOR", "PID", "RESTARTS", "CPU", "MEMORY", "LAST END"}}
		var notes []string
		for _, v := range f.Services {
			rows = append(rows, []string{v.Name, v.State, report.Span(v.SinceSeconds), yesNo(v.Pid > 0, fmt.Sprint(v.Pid), "-"), fmt.Sprint(v.Restarts),
				fmt.Sprintf("%.1f s", v.CpuSeconds), report.Bytes(v.Memory), dash(v.LastEnd)})
			if v.WaitsFor != "" {
				notes = append(notes, fmt.Sprintf("%s waits for %s", v.Name, v.WaitsFor))
			}
			if v.Status != "" {
				notes = append(notes, fmt.Sprintf("%s: %s", v.Name, v.Status))
			}
		}
		if len(notes) > 0 {
			notes = append([]string{""}, notes...)
		}
		return append(table(rows), notes...), nil
	})
}
