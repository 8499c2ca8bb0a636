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
			if got := describe(Plan(c, c.Nodes[i].ID)); got != want {
				t.Errorf("%s, %s:\n got %s\nwant %s", tc.name, c.Nodes[i].ID, got, want)
			}
		}
	}
}

func TestEgressOnlyNodesAreNotAnnounced(t *testing.T) {
	c := exampleCluster(t)
	c.Nodes[2].Roles = []string{config.RoleEgress}
	if got := describe(Plan(c, "lb1")); strings.Contains(got, "lb3") {
		t.Error(got)
	}
	if got := Plan(c, "lb3").Targets; len(got) != 0 {
		t.Error(got)
	}
}

func TestWithoutRoutersNothingIsAnnounced(t *testing.T) {
	c := exampleCluster(t)
	c.Routers = nil
	if got := Plan(c, "lb1").Targets; len(got) != 0 {
		t.Error(got)
	}
}
