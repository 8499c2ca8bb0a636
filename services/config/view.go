package config

// View is what a node knows of the others beyond the cluster file: the result of
// membership. Numbers that are missing from it are of nodes and servers that
// nobody has seen.
type View struct {
	Nodes   map[uint16]NodeState
	Servers map[uint16]ServerState
	// Settled says that the ring has not changed for longer than a lease: a flow
	// that no tracker knows then does not exist (S-58).
	Settled bool
}

// NodeState is one node in a View.
type NodeState struct {
	Boot     uint64 // of its dataplane; 0: not known
	Track    bool   // in the ring
	Announce bool   // its neighbours announce it
	Egress   bool   // carries replies
}

// ServerState is one server in a View.
type ServerState struct {
	Boot    uint64 // of its module; 0: not known
	Healthy bool   // gets offers
	Dead    bool   // no sign of life: its connections are reset when clients send (S-58)
}

// static is the view of a cluster without membership: everything is as the
// file says. Simulations and tests use it.
func static(c *Cluster) *View {
	v := &View{Nodes: map[uint16]NodeState{}, Servers: map[uint16]ServerState{}, Settled: true}
	for i := range c.Nodes {
		v.Nodes[c.Nodes[i].Number] = NodeState{Boot: uint64(c.Nodes[i].Number), Track: true, Announce: true, Egress: true}
	}
	for _, s := range c.Servers {
		v.Servers[s.Number] = ServerState{Boot: uint64(s.Number), Healthy: true}
	}
	return v
}
