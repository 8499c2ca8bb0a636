package config

import (
	"slices"
	"time"
)

// Health says how nodes and servers are checked (section 6 of the design). The
// defaults make a death known to the neighbours in 300 ms and to all in a second.
type Health struct {
	Interval       time.Duration `yaml:"interval"`        // between two checks of a neighbour (S-50)
	Misses         int           `yaml:"misses"`          // checks without an answer, one after the other, before a node is taken for dead (S-57)
	ServerInterval time.Duration `yaml:"server_interval"` // between two checks of a server (S-55)
	ServerTimeout  time.Duration `yaml:"server_timeout"`  // of one check of a server
}

func (h *Health) defaults() {
	*h = Health{Interval: 100 * time.Millisecond, Misses: 3, ServerInterval: 500 * time.Millisecond, ServerTimeout: time.Second}
}

// Types of a ServerCheck.
const (
	CheckHTTP = "http" // an answer with a status below 400
	CheckTCP  = "tcp"  // the connection is accepted
)

// ServerCheck is how a server itself is checked, at its own address.
type ServerCheck struct {
	Type string `yaml:"type"` // empty: not checked
	Port uint16 `yaml:"port"`
	Path string `yaml:"path"` // of the HTTP request
}

func (c *ServerCheck) defaults() { c.Path = "/" }

func (c *Cluster) validateHealth(k *clusterCheck) {
	h := &c.Health
	for _, t := range []struct {
		path      string
		v         time.Duration
		low, high time.Duration
	}{
		{"health.interval", h.Interval, 20 * time.Millisecond, 10 * time.Second},
		{"health.server_interval", h.ServerInterval, 100 * time.Millisecond, time.Minute},
		{"health.server_timeout", h.ServerTimeout, 50 * time.Millisecond, time.Minute},
	} {
		if t.v < t.low || t.v > t.high {
			k.fail(t.path, "write "+t.low.String()+" to "+t.high.String(), "%s is out of range", t.v)
		}
	}
	k.within("health.misses", h.Misses, 2, 100)
}

func (c *ServerCheck) validate(k *clusterCheck, path string) {
	if *c == (ServerCheck{}) { // none is written
		return
	}
	k.oneOf(path+".type", c.Type, CheckHTTP, CheckTCP)
	k.within(path+".port", int(c.Port), 1, 65535)
	if len(c.Path) == 0 || c.Path[0] != '/' || slices.ContainsFunc([]byte(c.Path), func(b byte) bool { return b <= ' ' || b >= 0x7f }) {
		k.fail(path+".path", "write it like /health", "%q is not the path of an HTTP request", c.Path)
	}
}
