package main

import (
	"strings"
	"testing"
	"time"

	"weir/services/api"
	"weir/services/state"
)

func TestHowEachBootEndedIsKnownFromTheNextOne(t *testing.T) {
	db, err := state.Open(t.TempDir(), discard())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	m := newMachine(t.TempDir())
	defer m.close()
	up := time.Minute
	boot := func(id string) *history {
		return openHistory(discard(), db, m, id, func() time.Duration { return up })
	}
	ended := boot("first")
	ended.note(&api.Milestones{TrafficReady: 9})
	up = time.Hour
	ended.end(&api.Milestones{TrafficReady: 9})
	boot("second")                                    // noded starts
	if alarm := boot("second").alarm(); alarm != "" { // and again, after a crash of its own
		t.Errorf("after a clean end: %s", alarm)
	}
	up = time.Minute
	third := boot("third")
	for name, h := range map[string]*history{"at once": third, "after a restart": boot("third")} {
		if alarm := h.alarm(); !strings.Contains(alarm, "ended without a shutdown") {
			t.Errorf("%s after an unclean end: %q", name, alarm)
		}
	}
	up = 2 * time.Hour
	if alarm := third.alarm(); alarm != "" {
		t.Errorf("it is history after %v: %s", up, alarm)
	}
	third.end(&api.Milestones{})
	boot("third") // it was only noded that ended

	got := boot("third").look("lb1").Boots
	if len(got) != 3 || got[0].BootId != "third" || got[0].End != "" || got[1].End != endUnclean || got[2].End != endClean {
		t.Fatalf("%v", got)
	}
	first := got[2]
	started, err := time.Parse(time.RFC3339, first.Started)
	if first.UpSeconds != 3600 || first.Milestones.TrafficReady != 9 || err != nil || time.Since(started) < time.Hour || time.Since(started) > 61*time.Minute {
		t.Errorf("%v, %v", first, err)
	}
}

func TestTheMembershipIsNotedWhenItChanges(t *testing.T) {
	dir := t.TempDir()
	db, err := state.Open(dir, discard())
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t.TempDir())
	defer m.close()
	uptime := func() time.Duration { return time.Minute }
	h := openHistory(discard(), db, m, "first", uptime)
	if h.look("lb1").Membership != nil {
		t.Error("a membership from nowhere")
	}
	h.members([]*api.NodeView{{Id: "lb1", Health: api.HealthHealthy, RttNorthMs: 1}})
	h.members([]*api.NodeView{{Id: "lb1", Health: api.HealthHealthy, RttNorthMs: 2}})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = state.Open(dir, discard()); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	got := openHistory(discard(), db, m, "second", uptime).look("lb1").Membership
	if len(got.GetNodes()) != 1 || got.Nodes[0].RttNorthMs != 0 || got.Time == "" {
		t.Errorf("%v", got)
	}
}
