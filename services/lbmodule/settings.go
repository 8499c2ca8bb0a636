package main

import (
	"fmt"
	"net/netip"
	"slices"

	"weir/services/config"
	"weir/services/lbmodule/admission"
	"weir/services/lbmodule/agent"
	"weir/services/program"
)

// protoTCP is TCP's IP protocol number.
const protoTCP = 6

// settings are the module file and the cluster's configuration together, as
// this server needs them.
type settings struct {
	file    *config.Module
	cluster *config.Cluster
	server  *config.Server
}

func join(file *config.Module, cluster *config.Cluster) (*settings, error) {
	server := cluster.Server(file.Server)
	if server == nil {
		return nil, program.ConfigError(fmt.Errorf("server %q is not in cluster %s; add it to the list servers", file.Server, cluster.Identity.Name))
	}
	return &settings{file, cluster, server}, nil
}

// agentConfig is what the agent's core needs to know.
func (s *settings) agentConfig(boot uint64) *agent.Config {
	c := &agent.Config{
		Server: s.server.Number,
		Boot:   boot,
		Keys:   s.cluster.Keys.Seals(),
		Seed:   s.cluster.Keys.Ranking(),
		Ring:   s.cluster.Keys.Ring(),
		WScale: uint8(s.cluster.Handshake.WindowScale),

		FabricMTU: s.cluster.FabricMTU,
		Publish:   s.cluster.Publishing.Interval,
	}
	for i := range s.cluster.Nodes {
		n := &s.cluster.Nodes[i]
		c.Nodes = append(c.Nodes, agent.Node{Number: n.Number, Address: n.South, Seed: n.Seed(),
			Egress: n.Healthy && n.Has(config.RoleEgress), Tracker: n.Healthy && n.Has(config.RoleTracker)})
	}
	for i := range s.cluster.Endpoints {
		e := &s.cluster.Endpoints[i]
		if !e.Serves(s.server.ID) {
			continue
		}
		for _, a := range e.Addresses {
			c.Endpoints = append(c.Endpoints, agent.Endpoint{
				Address: a, Proto: protoTCP, PortFirst: e.Ports.First, PortLast: e.Ports.Last, AcceptAfter: uint8(e.AcceptAfter),
			})
		}
	}
	return c
}

// vips are the public addresses of this server, each once.
func vips(endpoints []agent.Endpoint) []netip.Addr {
	var out []netip.Addr
	for _, e := range endpoints {
		if !slices.Contains(out, e.Address) {
			out = append(out, e.Address)
		}
	}
	return out
}

// curve is the admission curve in the form of package admission.
func (s *settings) curve() []admission.Step {
	var out []admission.Step
	for _, t := range s.cluster.Admission.Thresholds {
		out = append(out, admission.Step{Utilization: float64(t.Utilization) / 100, Reject: float64(t.Reject) / 100})
	}
	return out
}
