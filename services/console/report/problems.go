// Package report turns facts into what people read: the problems first, then
// the rest in the order of its importance. It asks nobody and reads no clock.
package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/services/api"
	"weir/services/console/facts"
)

// Problem is something that is not as it should be.
type Problem struct {
	What   string
	Remedy string // empty: what to do is plain, or nothing is
	Grave  bool   // the node does not serve because of it
}

// Problems are all that the facts tell, the gravest first.
func Problems(f *facts.Facts) []Problem {
	var all []Problem
	for _, of := range []func(*facts.Facts) []Problem{
		phaseProblems, nicProblems, serviceProblems, silentPrograms, linkProblems, nodeProblems, bgpProblems, stateProblems, configProblems, upgradeProblems, crashProblems,
	} {
		all = append(all, of(f)...)
	}
	var out []Problem
	for _, grave := range []bool{true, false} {
		for _, p := range all {
			if p.Grave == grave {
				out = append(out, p)
			}
		}
	}
	return out
}

// Results of a phase.
const (
	phaseFailed   = "failed"
	phaseDegraded = "degraded"
	phasePending  = "pending"
	phaseRunning  = "running"
	phaseOK       = "ok"
)

// Bad reports whether a phase did not do what it should. Another one's reason is
// what it did.
func Bad(p *api.Phase) bool { return p.Result == phaseFailed || p.Result == phaseDegraded }

func phaseProblems(f *facts.Facts) (out []Problem) {
	for _, p := range f.Boot.GetPhases() {
		if Bad(p) {
			out = append(out, Problem{What: fmt.Sprintf("boot phase %s %s: %s", p.Name, p.Result, p.Reason), Remedy: p.Remedy, Grave: p.Result == phaseFailed})
		}
	}
	return out
}

// Booting reports whether phases have not ended.
func Booting(f *facts.Facts) bool {
	for _, p := range f.Boot.GetPhases() {
		if p.Result == phasePending || p.Result == phaseRunning {
			return true
		}
	}
	return false
}

// nicProblems are those that no phase speaks of.
func nicProblems(f *facts.Facts) (out []Problem) {
	for _, p := range f.Boot.GetPhases() {
		if p.Name == "nics" && Bad(p) {
			return nil
		}
	}
	for _, n := range f.Boot.GetNics() {
		if n.Error != "" {
			out = append(out, Problem{What: fmt.Sprintf("%s NIC %s: %s", n.Role, first(n.Wanted, n.Pci), n.Error), Grave: n.Role != "control"})
		}
	}
	return out
}

// States of a service.
const (
	serviceReady    = "ready"
	serviceStopped  = "stopped"
	serviceBackOff  = "backing off"
	serviceWaiting  = "waiting"
	serviceStarting = "starting"
)

func serviceProblems(f *facts.Facts) (out []Problem) {
	for _, s := range f.Services {
		p := Problem{Remedy: "see: logs " + s.Name, Grave: s.Name != "updated"} // no node needs that to serve
		ended := ""
		if s.LastEnd != "" {
			ended = ", last " + s.LastEnd
		}
		switch s.State {
		case serviceBackOff:
			p.What = fmt.Sprintf("%s ended%s; started again in %s (restart %d)", s.Name, ended, Span(s.NextStartSeconds), s.Restarts+1)
		case serviceStopped:
			p.What, p.Remedy = s.Name+" is stopped"+ended, "start it: restart "+s.Name
		case serviceStarting:
			if s.SinceSeconds < slowStart {
				continue
			}
			p.What = fmt.Sprintf("%s is not ready after %s%s", s.Name, Span(s.SinceSeconds), ended)
		case serviceWaiting:
			if s.SinceSeconds < slowStart || Booting(f) { // for phases that have not ended
				continue
			}
			p.What, p.Remedy = fmt.Sprintf("%s waits for %s", s.Name, s.WaitsFor), ""
		default:
			continue
		}
		out = append(out, p)
	}
	return out
}

// slowStart is when a service that has not started is a problem, in seconds.
const slowStart = 30

// service is what init tells of a service; nil: nothing.
func service(f *facts.Facts, name string) *api.Service {
	for _, s := range f.Services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// silentPrograms are those that do not answer although they run.
func silentPrograms(f *facts.Facts) (out []Problem) {
	if f.BootErr != nil {
		out = append(out, Problem{What: f.BootErr.Error(), Remedy: "boot phases, services and logs are not known; if it stays so: reboot", Grave: true})
	}
	for _, p := range []struct {
		name, effect string
		err          error
	}{{"dataplane", "no packet is forwarded", f.DataplaneErr}, {"noded", "forwarding goes on; BGP sessions and membership do not", f.NodeErr}} {
		if s := service(f, p.name); p.err != nil && (s == nil || s.State == serviceReady) {
			if f.Services != nil && s == nil {
				continue // not to be started: a phase says why
			}
			out = append(out, Problem{What: fmt.Sprintf("%v: %s", p.err, p.effect), Remedy: "see: logs " + p.name + ", then: restart " + p.name, Grave: true})
		}
	}
	return out
}

func linkProblems(f *facts.Facts) (out []Problem) {
	for _, p := range f.Dataplane.GetPorts() {
		if !p.LinkUp {
			out = append(out, Problem{What: fmt.Sprintf("no link on the %s NIC %s", p.Name, p.Device), Remedy: "check cable, transceiver and switch port", Grave: true})
		}
	}
	for _, n := range f.Boot.GetNics() {
		if l := f.Link(n.Mac); n.Role == "control" && l != nil && !l.Up {
			out = append(out, Problem{What: "no link on the control NIC " + l.Name, Remedy: "check cable and switch port"})
		}
	}
	return out
}

func nodeProblems(f *facts.Facts) (out []Problem) {
	n := f.Node
	if n == nil {
		return nil
	}
	if n.Isolated {
		out = append(out, Problem{What: "this node is cut off from the others", Remedy: "look at the fabric: check", Grave: true})
	}
	for _, a := range n.Alarms {
		if !slices.ContainsFunc(toldElsewhere, func(beginning string) bool { return strings.HasPrefix(a, beginning) }) {
			out = append(out, Problem{What: a})
		}
	}
	return out
}

// toldElsewhere are the beginnings of alarms of which this package makes
// problems with remedies.
var toldElsewhere = []string{"bgp session ", "the changed configuration ", "this node is cut off ", "dataplane: "}

const established = "established"

func bgpProblems(f *facts.Facts) (out []Problem) {
	down := map[string]int{} // by reason: the sessions of a node often fail alike
	for _, b := range f.Node.GetBgp() {
		if b.State != established {
			reason := fmt.Sprintf("router %s: %s", b.Peer, first(b.Reason, b.State))
			if down[reason]++; down[reason] == 1 {
				out = append(out, Problem{What: fmt.Sprintf("no BGP session for %s from %s with %s", b.Advertises, b.Source, reason), Remedy: "find the cause: check"})
			}
		}
	}
	return out
}

func stateProblems(f *facts.Facts) []Problem {
	for _, p := range f.Boot.GetPhases() {
		if p.Name == "state" && p.Result != phaseOK {
			return nil // told with its remedy
		}
	}
	if s := f.Boot.GetState(); s != nil && s.Error != "" {
		return []Problem{{What: fmt.Sprintf("state disk %s is %s: %s", first(s.Device, "(none)"), s.Mode, s.Error)}}
	}
	return nil
}

func configProblems(f *facts.Facts) (out []Problem) {
	if f.Boot.GetConfigLastGood() && !told(f, "configuration") {
		out = append(out, Problem{What: "the configuration's source failed: the last good one is in force", Remedy: "see: config"})
	}
	if n := f.Node; n != nil && n.ConfigError != "" {
		out = append(out, Problem{What: "the cluster's configuration is not in force: " + n.ConfigError, Remedy: "correct it: weirctl apply"})
	}
	return out
}

// told reports whether a boot phase speaks of the problem already.
func told(f *facts.Facts, phase string) bool {
	for _, p := range f.Boot.GetPhases() {
		if p.Name == phase {
			return Bad(p)
		}
	}
	return false
}

func crashProblems(f *facts.Facts) []Problem {
	all := f.Boot.GetCrashes()
	if len(all) == 0 {
		return nil
	}
	// An old record is history; a new one is what this boot is the consequence of.
	at, err := time.Parse(time.RFC3339, all[0].Time)
	if err == nil && f.At.Add(-f.Uptime).Sub(at) > recent {
		return nil
	}
	return []Problem{{What: "an earlier boot crashed: " + all[0].Name + " " + all[0].Time, Remedy: "see: crashes"}}
}

// recent is how long before this boot a crash is worth telling.
const recent = time.Hour

func first(s ...string) string {
	for _, v := range s {
		if strings.TrimSpace(v) != "" {
			return v
		}
	}
	return "-"
}
