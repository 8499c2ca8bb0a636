package report

import (
	"fmt"
	"net/url"
	"strings"

	"weir/services/api"
	"weir/services/console/facts"
	"weir/services/console/terminal"
)

// Section is a part of the status page.
type Section struct {
	Label   string
	Text    []string // beside the label
	Most    int      // lines on the page
	Command string   // tells more
}

// labelWidth is what labels take of a line.
const labelWidth = 10

func (s *Section) lines() (out []string) {
	for i, t := range s.Text {
		label := ""
		if i == 0 {
			label = s.Label
		}
		out = append(out, terminal.Cut(fmt.Sprintf("%-*s%s", labelWidth, label, terminal.Clean(t)), width))
	}
	return out
}

// Sections are all of them, the most important first.
func Sections(f *facts.Facts) []Section {
	return []Section{
		{"node", nodeText(f), 2, "nodes"},
		{"ports", portText(f), 4, "links"},
		{"bgp", bgpText(f), 5, "bgp"},
		{"flows", flowText(f), 2, "flows"},
		{"services", serviceText(f), 3, "services"},
		{"upgrade", upgradeText(f), 2, "upgrades"},
		{"boot", bootText(f), 4, "phases"},
		{"last", errorText(f), 3, "logs"},
		{"ring", ringText(f), 3, "nodes"},
		{"servers", serverText(f), 2, "servers"},
		{"config", configText(f), 1, "config"},
		{"state", stateText(f), 1, "status"},
		{"machine", machineText(f), 3, "status"},
	}
}

// Status is everything in full, without bounds.
func Status(f *facts.Facts) []string {
	out := []string{headline(f)[1:]}
	for _, p := range Problems(f) {
		out = append(out, "! "+p.What)
		if p.Remedy != "" {
			out = append(out, "  -> "+p.Remedy)
		}
	}
	for _, s := range Sections(f) {
		for i, t := range s.Text {
			label := ""
			if i == 0 {
				label = s.Label
			}
			out = append(out, fmt.Sprintf("%-*s%s", labelWidth, label, t))
		}
	}
	return out
}

// nodeText says in one line whether the node serves.
func nodeText(f *facts.Facts) []string {
	n := f.Node
	if n == nil {
		return []string{"membership is not known: " + f.NodeErr.Error()}
	}
	phase, health := "", ""
	for _, v := range n.Nodes {
		if v.Id == n.Id {
			phase, health = v.Phase, v.Health
		}
	}
	settled := "settled"
	if !n.Settled {
		settled = "changing"
	}
	text := fmt.Sprintf("%s, %s; ring %d %s", first(phase, "phase not known"), first(health, "health not known"), n.RingEpoch, settled)
	switch {
	case n.Drained:
		text += "; drained: undrain it with weirctl"
	case !n.Learned:
		text += "; does not know the others yet"
	}
	return []string{text}
}

func flowText(f *facts.Facts) []string {
	d := f.Dataplane
	if d == nil {
		return []string{"not known: " + f.DataplaneErr.Error()}
	}
	w := d.Flows
	out := []string{fmt.Sprintf("%d established of %d, %d half-open, %d pending", w.GetEstablished(), w.GetCapacity(), w.GetHalfOpen(), w.GetPending())}
	var drops, before uint64
	for _, v := range d.Drops {
		drops += v
	}
	for _, v := range beforeDataplane(f).GetDrops() {
		before += v
	}
	busy := 0.0
	for _, t := range d.Workers {
		busy = max(busy, t.Busy)
	}
	return append(out, fmt.Sprintf("dropped %d%s, busiest core %.0f%% busy", drops, perSecond(f, drops, before), 100*busy))
}

// beforeDataplane is the dataplane of the facts before, if it is the same life of it.
func beforeDataplane(f *facts.Facts) *api.DataplaneStatus {
	if f.Before == nil || f.Before.Dataplane == nil || f.Dataplane == nil || f.Before.Dataplane.UptimeSeconds > f.Dataplane.UptimeSeconds {
		return nil
	}
	return f.Before.Dataplane
}

// perSecond is " (12/s)", or nothing when it is not known or does not move.
func perSecond(f *facts.Facts, now, before uint64) string {
	r := rate(f, now, before)
	if r < 0.5 {
		return ""
	}
	return fmt.Sprintf(" (%s/s)", si(r))
}

func rate(f *facts.Facts, now, before uint64) float64 {
	if f.Before == nil || beforeDataplane(f) == nil || now < before {
		return 0
	}
	d := f.At.Sub(f.Before.At).Seconds()
	if d <= 0 {
		return 0
	}
	return float64(now-before) / d
}

func serviceText(f *facts.Facts) []string {
	if f.Services == nil {
		return []string{"not known: init does not tell"}
	}
	var parts []string
	for _, s := range f.Services {
		if strings.HasPrefix(s.Name, "console") && s.State == serviceReady && s.Restarts == 0 {
			continue // or nobody would read this
		}
		text := s.Name + " " + s.State
		if s.State == serviceReady {
			text += " " + Span(s.SinceSeconds)
		}
		if s.Restarts > 0 {
			text += fmt.Sprintf(", %d restarts", s.Restarts)
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return []string{"none but consoles"}
	}
	return flow(parts, "; ")
}

// bootText is the phases with their times, in seconds.
func bootText(f *facts.Facts) []string {
	b := f.Boot
	if b == nil {
		return []string{"phases are not known: " + f.BootErr.Error()}
	}
	var parts []string
	end := 0.0
	for _, p := range b.Phases {
		text := fmt.Sprintf("%s %.1f", p.Name, p.TookSeconds)
		switch p.Result {
		case phaseOK:
		case phasePending, phaseRunning:
			text = p.Name + " " + p.Result
		default:
			text += " " + strings.ToUpper(p.Result)
		}
		parts = append(parts, text)
		end = max(end, p.StartedSeconds+p.TookSeconds)
	}
	if !Booting(f) {
		parts = append(parts, fmt.Sprintf("all done at %.1f s", end))
	}
	if m := f.Node.GetMilestones(); m.GetTrafficReady() > 0 {
		parts = append(parts, fmt.Sprintf("traffic at %.1f s", m.GetTrafficReady()))
	}
	return flow(parts, ", ")
}

// flow puts parts into as few lines as they need.
func flow(parts []string, between string) (out []string) {
	line := ""
	for i, p := range parts {
		if i < len(parts)-1 {
			p += strings.TrimRight(between, " ")
		}
		if line != "" && len(line)+1+len(p) > width-labelWidth {
			out, line = append(out, line), ""
		}
		if line != "" {
			line += " "
		}
		line += p
	}
	if line != "" {
		out = append(out, line)
	}
	return out
}

func configText(f *facts.Facts) []string {
	b := f.Boot
	switch {
	case b == nil && f.File != nil:
		return []string{"in force: node.yaml of " + f.File.Node}
	case b == nil:
		return []string{"not known: " + f.FileErr.Error()}
	case b.ConfigSource == "":
		return []string{"none is in force"}
	case b.ConfigLastGood:
		return []string{"the last good one; its source fails: " + Source(b.ConfigSource)}
	}
	generation := ""
	if f.Node != nil && f.Node.Generation != "" {
		generation = ", generation " + f.Node.Generation
	}
	return []string{"from " + Source(b.ConfigSource) + generation}
}

// Source is where the configuration is from, without the name and the password
// that a URL may hold.
func Source(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.User == nil {
		return s
	}
	u.User = nil
	return u.String()
}

func stateText(f *facts.Facts) []string {
	s := f.Boot.GetState()
	if s == nil {
		return []string{"not known"}
	}
	text := s.Mode
	if s.Device != "" {
		text = s.Device + " " + s.Mode
	}
	if s.Size > 0 {
		text += fmt.Sprintf(", %s of %s free", Bytes(s.Free), Bytes(s.Size))
	}
	return []string{text}
}

func machineText(f *facts.Facts) []string {
	b := f.Boot
	if b == nil {
		return []string{"not known"}
	}
	i := b.Identity
	return []string{
		fmt.Sprintf("%s %s", i.GetVendor(), i.GetProduct()),
		fmt.Sprintf("serial %s, uuid %s", first(i.GetSerial()), first(i.GetUuid())),
		fmt.Sprintf("kernel %s, clock %s, watchdog %s", first(b.Kernel), first(b.ClockSource), first(b.Watchdog)),
	}
}

func errorText(f *facts.Facts) (out []string) {
	for _, e := range f.Errors {
		out = append(out, fmt.Sprintf("%.1f %s: %s", e.Seconds, e.Source, e.Text))
	}
	return out
}
