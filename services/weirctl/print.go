package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
)

// table writes aligned columns and keeps the first error.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer) *table { return &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

func (t *table) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(t, "\t")
		}
		fmt.Fprint(t, c)
	}
	fmt.Fprintln(t)
}

// orDash shows what is not known.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// print is the table that people read.
func (s *clusterStatus) print(w io.Writer) error {
	t := newTable(w)
	fmt.Fprintf(t, "cluster %s\n\n", s.Cluster)
	t.row("NODE", "HEALTH", "PHASE", "VERSION", "UP", "DATAPLANE", "RING", "NORTH", "SOUTH")
	for _, n := range s.Nodes {
		t.row(n.ID, n.Health, orDash(n.Phase), orDash(n.Version), orDash(span(n.Uptime)), orDash(n.Dataplane), fmt.Sprintf("%.1f%%", 100*n.RingShare), n.North, n.South)
	}
	s.printBoots(t)
	fmt.Fprintln(t)
	t.row("SERVER", "HEALTH", "UTILIZATION", "CONNECTIONS", "WEIGHT", "ADDRESS")
	for _, r := range s.Servers {
		utilization, connections := "-", "-"
		if r.Utilization != nil && r.Connections != nil {
			utilization, connections = fmt.Sprintf("%.0f%%", 100**r.Utilization), strconv.Itoa(*r.Connections)
		}
		t.row(r.ID, r.Health, utilization, connections, r.Weight, r.Address)
	}
	if len(s.BGP) > 0 {
		fmt.Fprintln(t)
		t.row("ANNOUNCES", "HELD BY", "SLOT", "SOURCE", "ROUTER", "STATE", "PREFIXES", "LOSSES")
		for _, b := range s.BGP {
			t.row(b.Advertises, b.Node, b.Slot, b.Source, b.Peer, b.State, b.Prefixes, b.Losses)
		}
	}
	fmt.Fprintf(t, "\nflows: %d established, %d half-open, room for %d\n", s.Flows.Established, s.Flows.HalfOpen, s.Flows.Capacity)
	reasons := slices.DeleteFunc(slices.Sorted(maps.Keys(s.Drops)), func(r string) bool { return s.Drops[r] == 0 })
	if len(reasons) > 0 {
		fmt.Fprintln(t)
		t.row("DROPPED", "COUNT")
		for _, r := range reasons {
			t.row(r, s.Drops[r])
		}
	}
	if len(s.Alarms) > 0 {
		fmt.Fprintln(t)
		t.row("ALARM AT", "TEXT")
		for _, a := range s.Alarms {
			t.row(a.Node, a.Text)
		}
	}
	return t.Flush()
}
