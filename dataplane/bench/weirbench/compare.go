package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// The bounds that the product has to meet.
const (
	boundFlows       = 1_000_000 // at which Go must not be slower than C
	boundConnections = 50_000    // per second and worker
)

var flowCounts = []int{1000, 100_000, 1_000_000}

// Results are what bench.json holds. Times are medians, ns of CPU time.
type Results struct {
	Rounds       int       `json:"rounds"`
	Packets      int       `json:"packets_per_round"`
	IO           IO        `json:"receive_and_transmit_only"`
	Ingress      []Ingress `json:"ingress"`
	EgressNS     float64   `json:"egress_ns_per_packet"`
	EgressAllocs float64   `json:"egress_allocs_per_packet"`
	Connections  Setup     `json:"connections"`
	BytesPerFlow float64   `json:"bytes_per_flow"`
	TestpmdNS    float64   `json:"testpmd_io_ns_per_packet"`
	Met          bool      `json:"bounds_met"`
}

// IO is the price of receiving and transmitting alone, bursts of 32 between two net_null ports.
type IO struct {
	GoNS float64 `json:"go_ns_per_packet"`
	CNS  float64 `json:"c_ns_per_packet"`
}

// Ingress is established client packets: parse, lookup, encapsulate, with receiving and transmitting.
type Ingress struct {
	Flows  int     `json:"flows"`
	GoNS   float64 `json:"go_ns_per_packet"`
	CNS    float64 `json:"c_rte_hash_ns_per_packet"`
	Ratio  float64 `json:"ratio"` // median of the rounds' ratios, Go to C
	Allocs float64 `json:"allocs_per_packet"`
}

// Setup is new connections, whole handshakes.
type Setup struct {
	NS        float64 `json:"ns_per_connection"`
	PerSecond float64 `json:"per_second_per_worker"`
}

// compare measures everything and reports it.
func compare(o options) error {
	res := Results{Rounds: o.rounds, Packets: o.packets}
	goRounds, cRounds, err := duel("io", 0, o)
	if err != nil {
		return err
	}
	res.IO = IO{GoNS: medianNS(goRounds), CNS: medianNS(cRounds)}
	for _, flows := range flowCounts {
		goRounds, cRounds, err := duel("ingress", flows, o)
		if err != nil {
			return err
		}
		res.BytesPerFlow = goRounds[0].BytesPerFlow
		res.Ingress = append(res.Ingress, Ingress{Flows: flows, GoNS: medianNS(goRounds), CNS: medianNS(cRounds),
			Ratio: ratio(goRounds, cRounds), Allocs: medianAllocs(goRounds)})
	}
	egress, err := alone("egress", o)
	if err != nil {
		return err
	}
	res.EgressNS = medianNS(egress)
	res.EgressAllocs = medianAllocs(egress)
	setups, err := alone("connections", o)
	if err != nil {
		return err
	}
	res.Connections = Setup{NS: medianNS(setups), PerSecond: 1e9 / medianNS(setups)}
	if res.TestpmdNS, err = testpmd(o); err != nil {
		return err
	}
	return report(&res, o.json)
}

// duel measures something in Go and in C, in turns.
func duel(what string, flows int, o options) (inGo, inC []round, err error) {
	ours, err := startSelf(what, max(flows, 1000), o)
	if err != nil {
		return nil, nil, err
	}
	defer ours.stop()
	theirs, err := startRteHash(flows, o)
	if err != nil {
		return nil, nil, err
	}
	defer theirs.stop()
	for range o.rounds {
		for _, c := range []struct {
			*child
			to *[]round
		}{{ours, &inGo}, {theirs, &inC}} {
			r, err := c.round()
			if err != nil {
				return nil, nil, err
			}
			*c.to = append(*c.to, r)
		}
	}
	return inGo, inC, nil
}

// alone measures something that has no counterpart in C.
func alone(what string, o options) (rounds []round, err error) {
	c, err := startSelf(what, 1000, o)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	for range o.rounds {
		r, err := c.round()
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, r)
	}
	return rounds, nil
}

// ratio is the median of the rounds' ratios. Neighbouring rounds meet the same
// disturbances, so this is steadier than the ratio of the medians.
func ratio(a, b []round) float64 {
	var all []float64
	for i := range a {
		all = append(all, a[i].NS/b[i].NS)
	}
	return median(all)
}

func medianNS(rounds []round) float64 {
	var all []float64
	for _, r := range rounds {
		all = append(all, r.NS)
	}
	return median(all)
}

// medianAllocs leaves out what the runtime allocates for itself now and then in
// one round of many; a path that allocates does so in every round.
func medianAllocs(rounds []round) float64 {
	var all []float64
	for _, r := range rounds {
		all = append(all, r.Allocs)
	}
	return median(all)
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// report prints the table, writes the file, and fails if a bound is not met.
func report(r *Results, path string) error {
	fmt.Printf("ns of CPU time per 64-byte packet, one core, bursts of 32, net_null on both sides; medians of %d rounds of %d packets\n\n", r.Rounds, r.Packets)
	row := func(what, inGo, inC, ratio string) { fmt.Printf("%-44s %10s %18s %8s\n", what, inGo, inC, ratio) }
	f := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
	row("", "Weir", "C, DPDK rte_hash", "ratio")
	row("receive and transmit only", f(r.IO.GoNS), f(r.IO.CNS), fmt.Sprintf("%.2f", r.IO.GoNS/r.IO.CNS))
	met := true
	allocs := r.EgressAllocs
	for _, in := range r.Ingress {
		row(fmt.Sprintf("established ingress, %d flows, random", in.Flows), f(in.GoNS), f(in.CNS), fmt.Sprintf("%.2f", in.Ratio))
		allocs = max(allocs, in.Allocs)
		met = met && (in.Flows != boundFlows || in.Ratio <= 1)
	}
	row("egress", f(r.EgressNS), "", "")
	row("testpmd, io mode", "", f(r.TestpmdNS), "")
	met = met && allocs == 0 && r.Connections.PerSecond >= boundConnections
	r.Met = met
	fmt.Printf("\nallocations per packet        %g\n", allocs)
	fmt.Printf("bytes per flow entry          %.1f\n", r.BytesPerFlow)
	fmt.Printf("new connections per worker    %.0f /s (%.1f µs of CPU time each, all roles of all nodes together)\n", r.Connections.PerSecond, r.Connections.NS/1000)
	fmt.Printf("bounds                        Go <= C at %d flows, 0 allocations, >= %d connections/s: ", boundFlows, boundConnections)
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the folder of the results: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if !met {
		fmt.Println("NOT met")
		return fmt.Errorf("a bound is not met; see the table above (on a busy machine, try again)")
	}
	fmt.Println("met")
	return nil
}
