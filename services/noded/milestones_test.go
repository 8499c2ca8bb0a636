package main

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"weir/services/config"
	"weir/services/noded/membership"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestMilestonesArePassedOnceAndTrafficIsTheLast(t *testing.T) {
	now := time.Second
	m := newMilestones(func() time.Duration { return now }, nil)
	m.reach(true, false, false)
	now = 2 * time.Second
	m.reach(true, false, true)
	now = 3 * time.Second
	m.reach(false, true, false)
	now = 4 * time.Second
	m.reach(true, true, true)
	if at := m.look(); at.DataplaneReady != 1 || at.Announced != 2 || at.StateComplete != 3 || at.TrafficReady != 3 {
		t.Errorf("%v", at)
	}
	again := newMilestones(func() time.Duration { return now }, m.look())
	again.reach(true, true, true)
	if at := again.look(); at.TrafficReady != 3 {
		t.Errorf("after a restart: %v", at)
	}
}

func TestANodeIsAnnouncedWhenItsNeighboursSaySo(t *testing.T) {
	b, err := os.ReadFile("../config/testdata/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.ParseCluster("c", b)
	if err != nil {
		t.Fatal(err)
	}
	announced := func(number uint16) membership.NodeView {
		return membership.NodeView{Number: number, State: membership.StateHealthy, Announce: true}
	}
	by := func(numbers ...uint16) (list []membership.Announcement) {
		for _, n := range numbers {
			list = append(list, membership.Announcement{Node: 2, By: n})
		}
		return list
	}
	for _, tc := range []struct {
		what  string
		nodes []membership.NodeView
		told  []membership.Announcement
		want  bool
	}{
		{"it only speaks", []membership.NodeView{announced(1), {Number: 2, Speak: true}, announced(3)}, by(1, 3), false},
		{"one neighbour", []membership.NodeView{announced(1), announced(2), announced(3)}, by(1), false},
		{"both neighbours", []membership.NodeView{announced(1), announced(2), announced(3)}, by(3, 1), true},
		{"a pair", []membership.NodeView{announced(1), announced(2)}, by(1), false},
		{"a pair, and itself", []membership.NodeView{announced(1), announced(2)}, by(1, 2), true},
	} {
		if got := isAnnounced(c, &membership.View{Learned: true, Nodes: tc.nodes, Announced: tc.told}, "lb2"); got != tc.want {
			t.Errorf("%s: %v", tc.what, got)
		}
	}
}
