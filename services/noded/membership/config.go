package membership

import (
	"math"
	"time"
)

// Node is a node of the cluster file.
type Node struct {
	Number  uint16
	Tracker bool // the file lets it track flows
}

// Config is what a Core must know. Times that are zero get their defaults.
type Config struct {
	Self    uint16
	Noded   uint64   // boot id of this control plane
	Nodes   []Node   // all nodes, this one included, in the order of the cluster file
	Servers []uint16 // numbers

	Interval       time.Duration // between two checks of a neighbour; 100 ms
	Misses         int           // checks in a row after which neighbours judge; 3
	ServerInterval time.Duration // between two checks of a server; 500 ms
	ServerSilence  time.Duration // without any sign of life, after which a server is dead (S-58); 3 s
	Gap            time.Duration // in the own clock, after which the node rejoins as new (S-59); 3 s
	Lease          time.Duration // of a flow; the view is settled when the ring stood that long (S-58); 10 s
	Publication    time.Duration // publishing interval of modules (S-40); 1 s
	Withdrawal     time.Duration // that routers get between unannouncing a leaving node and taking it out of the ring; 2 s
}

func (c *Config) setDefaults() {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{
		{&c.Interval, 100 * time.Millisecond},
		{&c.ServerInterval, 500 * time.Millisecond},
		{&c.ServerSilence, 3 * time.Second},
		{&c.Gap, 3 * time.Second},
		{&c.Lease, 10 * time.Second},
		{&c.Publication, time.Second},
		{&c.Withdrawal, 2 * time.Second},
	} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
	if c.Misses == 0 {
		c.Misses = 3
	}
}

// phases is how many ticks an interval has.
const phases = 4

// failTime is how long a counter may stand still before its node is suspect, and
// then again before it is unhealthy. News needs a number of rounds that grows
// with the logarithm of the number of nodes (S-57).
func (c *Config) failTime(nodes int) time.Duration {
	return time.Duration(float64(c.Interval) * (10 + 6*math.Log2(float64(max(nodes, 2)))))
}

// serverFailTime is how long no check of a server may succeed: three checks,
// and what gossip needs for the news.
func (c *Config) serverFailTime(nodes int) time.Duration {
	return 3*c.ServerInterval + time.Duration(float64(c.Interval)*(4+4*math.Log2(float64(max(nodes, 2)))))
}
