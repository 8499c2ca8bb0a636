package report

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"weir/services/api"
	"weir/services/console/facts"
)

// portText is one line per NIC: the dataplane's word where there is one.
func portText(f *facts.Facts) (out []string) {
	seen := map[string]bool{}
	before := map[string]*api.Port{}
	for _, p := range beforeDataplane(f).GetPorts() {
		before[p.Name] = p
	}
	for _, p := range f.Dataplane.GetPorts() {
		link := "LINK DOWN"
		if p.LinkUp {
			link = "link up"
		}
		b := before[p.Name]
		line := fmt.Sprintf("%-7s %-9s %s  rx %s/s tx %s/s", p.Name, link, net.HardwareAddr(p.Mac),
			si(rate(f, p.RxPackets, b.GetRxPackets())), si(rate(f, p.TxPackets, b.GetTxPackets())))
		if lost := p.RxMissed + p.RxErrors + p.TxErrors + p.TxFull; lost > 0 {
			line += fmt.Sprintf(" lost %d", lost)
		}
		out, seen[p.Name] = append(out, line), true
	}
	for _, n := range f.Boot.GetNics() {
		if n.Role == "" || seen[n.Role] {
			continue
		}
		line := fmt.Sprintf("%-7s ", n.Role)
		switch l := f.Link(n.Mac); {
		case n.Error != "":
			line += "NOT USABLE: " + n.Error
		case n.Role == "control" && l != nil:
			link := "LINK DOWN"
			if l.Up {
				link = "link up"
			}
			line += fmt.Sprintf("%-9s %s  %s", link, n.Mac, l.Name)
		default:
			line += fmt.Sprintf("%-9s %s  %s %s", "", first(n.Mac), n.Pci, n.Driver)
		}
		out, seen[n.Role] = append(out, line), true
	}
	if len(out) == 0 {
		return []string{"not known"}
	}
	return out
}

func bgpText(f *facts.Facts) (out []string) {
	if f.Node == nil {
		return []string{"sessions are not known"}
	}
	if len(f.Node.Bgp) == 0 {
		return []string{"no sessions: nothing to announce, or no router is configured"}
	}
	// Those that are down first: the page may not have room for all.
	sessions := slices.Clone(f.Node.Bgp)
	slices.SortStableFunc(sessions, func(a, b *api.BgpSession) int { return up(a) - up(b) })
	for _, b := range sessions {
		what := b.State + " " + Span(b.SinceSeconds)
		if b.State != established {
			what = strings.ToUpper(b.State) + ": " + first(b.Reason)
		} else if b.Losses > 0 {
			what += fmt.Sprintf(", lost %d times", b.Losses)
		}
		out = append(out, fmt.Sprintf("%-6s %-5s %s -> %s  %s", b.Advertises, b.Slot, b.Source, b.Peer, what))
	}
	return out
}

func up(b *api.BgpSession) int {
	if b.State == established {
		return 1
	}
	return 0
}

func ringText(f *facts.Facts) []string {
	if f.Node == nil {
		return nil
	}
	var parts []string
	for _, n := range f.Node.Nodes {
		parts = append(parts, fmt.Sprintf("%s %s %s %.1f%%", n.Id, n.Health, first(n.Phase), 100*n.RingShare))
	}
	return flow(parts, "; ")
}

func serverText(f *facts.Facts) []string {
	if f.Node == nil {
		return nil
	}
	good := 0
	parts := []string{""}
	for _, s := range f.Node.Servers {
		switch {
		case s.Health == api.HealthHealthy && !s.Dead:
			good++
		case s.CheckError != "":
			parts = append(parts, fmt.Sprintf("%s %s: %s", s.Id, s.Health, s.CheckError))
		default:
			parts = append(parts, s.Id+" "+s.Health)
		}
	}
	parts[0] = fmt.Sprintf("%d of %d healthy", good, len(f.Node.Servers))
	return flow(parts, "; ")
}
