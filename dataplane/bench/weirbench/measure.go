package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"

	"weir/dataplane/bench/traffic"
	"weir/dataplane/dpdk"
	"weir/dataplane/engine"
	"weir/dataplane/lbnode"
	"weir/dataplane/packet"
)

// round is what a child prints per round, the C program too.
type round struct {
	NS           float64 `json:"ns_per_packet"`
	Allocs       float64 `json:"allocs_per_packet"`
	Dropped      uint64  `json:"dropped"`
	BytesPerFlow float64 `json:"bytes_per_flow"`
}

// measure runs as a child: it sets up what is to be measured, says so, and
// measures a round for every line on standard input.
func measure(what string, flows int, o options) error {
	if err := pin(o.core); err != nil {
		return err
	}
	var once func() (round, error)
	var err error
	switch what {
	case "connections":
		once, err = connections(o.packets)
	case "io", "ingress", "egress":
		once, err = forwarding(what, flows, o)
	default:
		err = fmt.Errorf("nothing called %q can be measured", what)
	}
	if err != nil {
		return err
	}
	if _, err := once(); err != nil { // warm up
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(map[string]bool{"ready": true}); err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		r, err := once()
		if err != nil {
			return err
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// forwarding prepares rounds of packets from one net_null port through a worker
// to another.
func forwarding(what string, flows int, o options) (func() (round, error), error) {
	if err := dpdk.Init(dpdk.EAL{FilePrefix: "weirbench", MemoryMiB: 64, NoHuge: o.noHuge, NUMA: dpdk.AnyNUMA}); err != nil {
		return nil, err
	}
	pool, err := dpdk.NewMempool("frames", 8191, dpdk.AnyNUMA)
	if err != nil {
		return nil, err
	}
	ports := dpdk.Ports{}
	for side := range packet.NumPorts {
		if ports[side], err = dpdk.Attach(fmt.Sprint("net_null", side), ""); err != nil {
			return nil, err
		}
		if err = ports[side].Configure(pool, 1500, 512, false); err != nil {
			return nil, err
		}
		if err = ports[side].Start(); err != nil {
			return nil, err
		}
	}
	from, to := packet.North, packet.South
	fill := traffic.Ingress
	if what == "egress" {
		from, to, fill = to, from, traffic.Egress
	}
	if err := fill(ports[from], flows); err != nil {
		return nil, err
	}
	rx, tx := dpdk.Ports{dpdk.NoPort, dpdk.NoPort}, dpdk.Ports{dpdk.NoPort, dpdk.NoPort}
	rx[from], tx[to] = ports[from], ports[to]
	x, err := dpdk.NewExchange(pool, rx, tx, true)
	if err != nil {
		return nil, err
	}
	var w *lbnode.Worker
	if what != "io" {
		if w, err = establish(what, flows); err != nil {
			return nil, err
		}
	}
	debug.SetGCPercent(-1) // the collector has nothing to do here, and its own objects would be counted
	return func() (round, error) { return forward(x, w, to, o.packets) }, nil
}

// establish makes a worker with established flows, by real handshakes.
func establish(what string, flows int) (*lbnode.Worker, error) {
	c, err := newCluster(1, flows)
	if err != nil {
		return nil, err
	}
	if what == "ingress" {
		for i := 0; i < flows; i += burst {
			if err := c.connect(i, min(i+burst, flows)); err != nil {
				return nil, err
			}
		}
		if u := c.nodes[0].w.Usage(); u.Mapped != flows {
			return nil, fmt.Errorf("%d of %d flows are established", u.Mapped, flows)
		}
	}
	return c.nodes[0].w, nil
}

// forward is one round: what the engine does on one core, receive, Burst and
// transmit, without the stages that other cores have (steering, exception path).
func forward(x *dpdk.Exchange, w *lbnode.Worker, to packet.Port, packets int) (round, error) {
	dropped := uint64(0)
	before, start := mallocs(), cpuTime()
	done := 0
	for done < packets {
		bufs := x.Run()
		if w == nil {
			for i := range bufs {
				bufs[i].Port, bufs[i].Verdict = to, packet.Send
			}
		} else {
			w.Burst(engine.Now(), bufs)
		}
		for i := range bufs {
			if b := &bufs[i]; b.Verdict == packet.Send {
				x.Transmit(b)
			} else {
				x.Free(b.Handle)
				dropped++
			}
		}
		done += len(bufs)
	}
	spent := cpuTime() - start
	r := round{NS: float64(spent.Nanoseconds()) / float64(done), Allocs: float64(mallocs()-before) / float64(done), Dropped: dropped}
	if w != nil {
		r.BytesPerFlow = w.Usage().BytesPerFlow
	}
	if dropped > 0 {
		return r, fmt.Errorf("%d of %d packets were not forwarded", dropped, done)
	}
	return r, nil
}

// connections prepares rounds of new connections through three nodes. The
// time is the sum over all nodes, per connection: what one worker spends on a
// connection all of whose roles are its own.
func connections(packets int) (func() (round, error), error) {
	const nodes, flows = 3, 262144
	c, err := newCluster(nodes, flows)
	if err != nil {
		return nil, err
	}
	n := max(burst, packets/20)
	next := 0
	return func() (round, error) {
		first, committed := next, c.committed
		for _, nd := range c.nodes {
			nd.spent = 0
		}
		for next < first+n {
			if err := c.connect(next, next+burst); err != nil {
				return round{}, err
			}
			next += burst
		}
		spent := c.nodes[0].spent + c.nodes[1].spent + c.nodes[2].spent
		if got := c.committed - committed; got != next-first {
			return round{}, fmt.Errorf("%d of %d connections were committed", got, next-first)
		}
		return round{NS: float64(spent.Nanoseconds()) / float64(next-first), BytesPerFlow: c.nodes[0].w.Usage().BytesPerFlow}, nil
	}, nil
}
