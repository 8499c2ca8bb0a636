package bgp

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"weir/services/config"
)

func exampleCluster(t *testing.T) *config.Cluster {
	t.Helper()
	b, err := os.ReadFile("../../config/testdata/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.ParseCluster("cluster.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func describe(d Desired) string {
	var s []string
	for _, t := range d.Targets {
		s = append(s, fmt.Sprintf("%s from %s: %s via %s", t.Slot, t.Source, t.Advertises, t.NextHop))
	}
	return strings.Join(s, "; ")
}

func TestEveryNodeIsAnnouncedByItsNeighboursAndItselfOnlyWhenThereAreFewerThanThree(t *testing.T) {
	for _, tc := range []struct {
		name      string
		unhealthy []int
		want      []string // per node
	}{
		{"three", nil, []string{
			"left from 10.10.0.102: lb3 via 10.10.0.13; right from 10.10.0.103: lb2 via 10.10.0.12",
			"left from 10.10.0.104: lb1 via 10.10.0.11; right from 10.10.0.105: lb3 via 10.10.0.13",
			"left from 10.10.0.106: lb2 via 10.10.0.12; right from 10.10.0.107: lb1 via 10.10.0.11",
		}},
		{"two", []int{1}, []string{
			"left from 10.10.0.102: lb3 via 10.10.0.13; self from 10.10.0.11: lb1 via 10.10.0.11",
			"",
			"left from 10.10.0.106: lb1 via 10.10.0.11; self from 10.10.0.13: lb3 via 10.10.0.13",
		}},
		{"one", []int{0, 1}, []string{"", "", "self from 10.10.0.13: lb3 via 10.10.0.13"}},
	} {
		c := exampleCluster(t)
		for _, i := range tc.unhealthy {
			c.Nodes[i].Healthy = false
		}
		for i, want := range tc.want {
			if got := describe(Plan(c, nil, c.Nodes[i].ID, false)); got != want {
				t.Errorf("%s, %s:\n got %s\nwant %s", tc.name, c.Nodes[i].ID, got, want)
			}
		}
	}
}

// announcedIn is a view in which only these nodes are announced.
func announcedIn(numbers ...uint16) *config.View {
	v := &config.View{Nodes: map[uint16]config.NodeState{}}
	for _, n := range numbers {
		v.Nodes[n] = config.NodeState{Announce: true}
	}
	return v
}

func TestTheRingIsWhoIsAnnouncedInTheView(t *testing.T) {
	c := exampleCluster(t)
	view := announcedIn(1, 3)
	for i, want := range []string{
		"left from 10.10.0.102: lb3 via 10.10.0.13; self from 10.10.0.11: lb1 via 10.10.0.11",
		"",
		"left from 10.10.0.106: lb1 via 10.10.0.11; self from 10.10.0.13: lb3 via 10.10.0.13",
	} {
		if got := describe(Plan(c, view, c.Nodes[i].ID, false)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", c.Nodes[i].ID, got, want)
		}
	}
	c.Nodes[0].Healthy = false
	if got, want := describe(Plan(c, view, "lb3", false)), "self from 10.10.0.13: lb3 via 10.10.0.13"; got != want {
		t.Errorf("the file takes lb1 out: got %s, want %s", got, want)
	}
}

func TestANodeThatSpeaksAnnouncesItsNeighboursBeforeItIsAnnounced(t *testing.T) {
	c := exampleCluster(t)
	for _, tc := range []struct {
		name      string
		announced []uint16
		want      string
	}{
		{"two others", []uint16{1, 3}, "left from 10.10.0.104: lb1 via 10.10.0.11; right from 10.10.0.105: lb3 via 10.10.0.13"},
		{"one other", []uint16{3}, "left from 10.10.0.104: lb3 via 10.10.0.13"},
		{"nobody", nil, ""},
	} {
		if got := describe(Plan(c, announcedIn(tc.announced...), "lb2", true)); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestEgressOnlyNodesAreNotAnnounced(t *testing.T) {
	c := exampleCluster(t)
	c.Nodes[2].Roles = []string{config.RoleEgress}
	if got := describe(Plan(c, nil, "lb1", false)); strings.Contains(got, "lb3") {
		t.Error(got)
	}
	if got := Plan(c, nil, "lb3", false).Targets; len(got) != 0 {
		t.Error(got)
	}
}

func TestWithoutRoutersNothingIsAnnounced(t *testing.T) {
	c := exampleCluster(t)
	c.Routers = nil
	if got := Plan(c, nil, "lb1", false).Targets; len(got) != 0 {
		t.Error(got)
	}
}

func TestTheAnnouncersOfANodeAreItsNeighboursOrFewerThanThreeOfThem(t *testing.T) {
	c := exampleCluster(t)
	for _, tc := range []struct {
		announced []uint16
		want      string
	}{
		{[]uint16{1, 2, 3}, "lb1 lb3"},
		{[]uint16{1, 2}, "lb1 lb2"},
		{[]uint16{2}, "lb2"},
		{[]uint16{1, 3}, ""},
	} {
		if got := strings.Join(Announcers(c, announcedIn(tc.announced...), "lb2"), " "); got != tc.want {
			t.Errorf("announced are %v: got %q, want %q", tc.announced, got, tc.want)
		}
	}
}
