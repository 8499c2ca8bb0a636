package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"

	"weir/services/api"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// well is a node in service that runs the old version.
func well(id, domain string) Fact {
	return Fact{ID: id, Domain: domain, Version: oldVersion, Up: time.Hour, Update: &api.UpdateStatus{Version: oldVersion, State: "idle", Slots: []*api.UpdateSlot{{Version: oldVersion, Status: "good", Running: true, Committed: true}}}}
}

func acts(list []Action) (out []string) {
	for _, a := range list {
		out = append(out, string(a.Act)+" "+a.Node)
	}
	return out
}

func TestOneNodeIsBegunUnlessSeveralOfADomainMayBe(t *testing.T) {
	for _, c := range []struct {
		name    string
		atOnce  int
		domains []string
		want    []string
	}{
		{"one at a time", 1, []string{"a", "a", "b"}, []string{"install lb1"}},
		{"two of a domain", 2, []string{"a", "a", "a", "b"}, []string{"install lb1", "install lb2"}},
		{"never of two domains", 3, []string{"a", "b", "a"}, []string{"install lb1", "install lb3"}},
		{"nodes without a domain are one each", 3, []string{"", "", ""}, []string{"install lb1"}},
	} {
		var facts []Fact
		for i, d := range c.domains {
			facts = append(facts, well("lb"+string(rune('1'+i)), d))
		}
		_, actions := Next(New(newVersion, c.atOnce, start), facts, start)
		if got := acts(actions); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// at is a rollout whose first node is in a phase, of three nodes.
func at(p Phase) Document {
	d := New(newVersion, 1, start)
	d.Nodes = []Node{{ID: "lb1", From: oldVersion, Phase: p, Since: start, Told: start}, {ID: "lb2", From: oldVersion, Phase: Waiting}, {ID: "lb3", From: oldVersion, Phase: Waiting}}
	d.Nodes[0].Owes = d.Nodes[0].UnderWay()
	return d
}

func TestAFailureStopsItWithReasonAndRemedy(t *testing.T) {
	later := start.Add(time.Hour)
	for name, c := range map[string]struct {
		phase  Phase
		change func(f *Fact)
		want   string
	}{
		"no slots":               {Waiting, func(f *Fact) { f.Update.Error = "it boots from the network" }, "node lb1: it cannot be upgraded: it boots from the network"},
		"refused":                {Installing, func(f *Fact) { f.Refused = "signed by too few keys" }, "node lb1: version 0.2.0 is not installed: signed by too few keys"},
		"no repository":          {Installing, func(f *Fact) { f.StuckFor = time.Hour; f.Update.Job = &api.UpdateProgress{Error: "connection refused"} }, "it waits: connection refused"},
		"paused there":           {Installing, func(f *Fact) { f.Update.Paused = true }, "an operator has paused upgrades at this node"},
		"never drained":          {Draining, func(f *Fact) { f.Leaving = true }, "node lb1: it is not drained after 10m0s"},
		"cannot be tried":        {Restarting, func(f *Fact) { f.Drained, f.Leaving, f.Up, f.Refused = true, true, 2*time.Hour, "no boot variables" }, "cannot be tried: no boot variables"},
		"does not come back":     {Trying, func(f *Fact) { f.Silent, f.SilentFor = "no route", time.Hour }, "node lb1: it does not come back: no route"},
		"does not restart":       {Trying, func(f *Fact) { f.Up = 2 * time.Hour }, "it did not restart within 10m0s"},
		"bad version":            {Trying, func(f *Fact) { f.Up, f.Update.State, f.Update.Reason = time.Minute, "rolled back", "it panicked" }, "version 0.2.0 has failed its trial, and the node is back in 0.1.0: it panicked"},
		"committed, and is sick": {Settling, func(f *Fact) { f.Version, f.Unwell, f.UnwellFor = newVersion, "announced by 1", time.Hour }, "it runs 0.2.0, but is not in full service: announced by 1"},
		"changed by hand":        {Settling, func(f *Fact) { f.Version = "0.0.9" }, "it runs 0.0.9, which somebody else has chosen"},
	} {
		facts := []Fact{well("lb1", ""), well("lb2", ""), well("lb3", "")}
		c.change(&facts[0])
		d, actions := Next(at(c.phase), facts, later)
		if d.State != Stopped || !strings.Contains(d.Reason, c.want) || d.Remedy == "" || d.Nodes[0].Phase != Failed {
			t.Errorf("%s: %s: %q; %q, want %q", name, d.State, d.Reason, d.Remedy, c.want)
		}
		for _, a := range actions {
			if a.Act != Undrain {
				t.Errorf("%s: %v", name, acts(actions))
			}
		}
		if undrained := slices.Contains(acts(actions), "undrain lb1"); undrained != (facts[0].Leaving && facts[0].Silent == "") {
			t.Errorf("%s: %v", name, acts(actions))
		}
	}
}

func TestNobodyLeavesWhileAnotherNodeIsNotInFullService(t *testing.T) {
	facts := []Fact{well("lb1", ""), well("lb2", ""), well("lb3", "")}
	facts[0].Update.Slots = []*api.UpdateSlot{{Version: newVersion, Status: "untried"}}
	facts[0].Update.State = "written"
	facts[2].Unwell = "announced by 1 (lb2), want 2"
	d, actions := Next(at(Installing), facts, start)
	if len(actions) != 0 || d.Nodes[0].Phase != Installing || d.Nodes[0].Now != "waits for lb3: announced by 1 (lb2), want 2" {
		t.Errorf("%v, %+v", acts(actions), d.Nodes[0])
	}
	facts[2].Unwell = ""
	d, actions = Next(d, facts, start)
	if got := acts(actions); !slices.Equal(got, []string{"drain lb1"}) || !d.Nodes[0].Owes {
		t.Errorf("%v, %+v", got, d.Nodes[0])
	}
	facts[1].Unwell, facts[1].UnwellFor = "gone", time.Hour
	if d, _ := Next(New(newVersion, 1, start), facts, start); d.State != Stopped || d.Reason != "node lb2 is not in full service: gone" {
		t.Errorf("%s: %s", d.State, d.Reason)
	}
}

func TestALoneNodeIsNotTakenOutOfService(t *testing.T) {
	d, actions := Next(New(newVersion, 1, start), []Fact{well("lb1", "")}, start)
	if d.State != Stopped || len(actions) != 0 || !strings.Contains(d.Reason, "no other node") {
		t.Errorf("%s: %s, %v", d.State, d.Reason, acts(actions))
	}
}

func TestADocumentOfANewerVersionIsRefused(t *testing.T) {
	d := at(Trying)
	text, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode([]byte(text)); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "[]", strings.Replace(text, "trying", "flying", 1), strings.Replace(text, "running", "walking", 1)} {
		if _, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}
