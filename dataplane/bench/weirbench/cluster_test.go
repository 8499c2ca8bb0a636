package main

import "testing"

func TestEveryConnectionOfTheBenchmarkIsCommittedAndCarriesData(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		c, err := newCluster(nodes, 1024)
		if err != nil {
			t.Fatal(err)
		}
		const n = 512
		for i := 0; i < n; i += burst {
			if err := c.connect(i, i+burst); err != nil {
				t.Fatal(err)
			}
		}
		mapped := 0
		for _, nd := range c.nodes {
			mapped += nd.w.Usage().Mapped
			nd.w.Close()
		}
		if c.committed != n || c.delivered != n || mapped != n {
			t.Errorf("%d nodes: of %d connections %d were committed, %d delivered their ACK, %d are mapped", nodes, n, c.committed, c.delivered, mapped)
		}
	}
}

func TestRatioIsTheMedianOfTheRoundsRatios(t *testing.T) {
	a := []round{{NS: 10}, {NS: 90}, {NS: 40}}
	b := []round{{NS: 20}, {NS: 90}, {NS: 20}}
	if got := ratio(a, b); got != 1 {
		t.Errorf("ratio %v, want 1", got)
	}
}
