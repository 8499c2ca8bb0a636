package lab

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"weir/qemu/topology"
)

// kind is what the LB nodes of a lab are. Router, servers, client and
// controller are the same in all of them.
type kind interface {
	// name is what lab.json calls it.
	name() string
	// files must be there before a lab starts.
	files() []string
	// settle finds out, once per start, how nodes run on this machine.
	settle(ctx context.Context) error
	// death is what happens to a node that is killed.
	death() string
	// hugepages is how many of the machine's, of 2 MiB, a node takes.
	hugepages() int
	// patience is how long each step towards readiness may take.
	patience() time.Duration
	// story is how much traffic is a fair load for such nodes.
	story() story
	// callTimeout is how long a node may take to answer a question.
	callTimeout() time.Duration
	// buildNetwork makes what all nodes share.
	buildNetwork() error

	// wire connects a node to the LANs, unwire undoes it.
	wire(n topology.Node) error
	unwire(n topology.Node) error
	// prepare makes a node's directory with everything that it starts from.
	prepare(n topology.Node) error
	// programs are what the lab runs for the node of that name, in the order of
	// their start.
	programs(id string) []string
	// program says how one of them is started now.
	program(n topology.Node, name string) (program, error)
	// dial calls a node's control plane.
	dial(n topology.Node) (*grpc.ClientConn, error)
	// link plugs a NIC's cable in, or out.
	link(n topology.Node, side Side, up bool) error
	// describe fills in what lab.json says of a node beside its addresses.
	describe(n topology.Node, info *NodeInfo)
}

// Kinds of lab.
const (
	kindNamespaces = "namespaces"
	kindQEMU       = "qemu"
)

// node finds the node whose machine is called so.
func (l *Lab) node(id string) (topology.Node, bool) {
	for _, n := range l.Top.Nodes {
		if n.ID == id {
			return n, true
		}
	}
	return topology.Node{}, false
}
