package lab

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"weir/qemu/topology"
	"weir/services/api"
)

// PrintBoots prints how nodes that boot came up, in seconds since their
// kernels started. It waits until they are ready for traffic.
func (l *Lab) PrintBoots(ctx context.Context, out io.Writer, nodes ...topology.Node) error {
	if l.kind.name() != kindQEMU {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nBOOTED\tINIT IS THROUGH\tDATAPLANE FORWARDS\tSTATE COMPLETE\tANNOUNCED\tREADY FOR TRAFFIC\tLONGEST PHASE")
	for _, n := range nodes {
		status, err := l.Booted(ctx, n)
		if err != nil {
			return err
		}
		m, phases := status.Milestones, status.GetBoot().GetPhases()
		var through float64
		longest := &api.Phase{}
		for _, p := range phases {
			through = max(through, p.StartedSeconds+p.TookSeconds)
			if p.TookSeconds > longest.TookSeconds {
				longest = p
			}
		}
		fmt.Fprintf(w, "%s\t%.1f s\t%.1f s\t%.1f s\t%.1f s\t%.1f s\t%s, %.1f s\n",
			n.ID, through, m.DataplaneReady, m.StateComplete, m.Announced, m.TrafficReady, longest.Name, longest.TookSeconds)
	}
	fmt.Fprintln(w)
	return w.Flush()
}

// Booted waits until a node is ready for traffic.
func (l *Lab) Booted(ctx context.Context, n topology.Node) (*api.NodeStatus, error) {
	deadline := time.Now().Add(l.kind.patience())
	for {
		status, err := l.NodeStatus(ctx, n)
		if err == nil && status.GetMilestones().GetTrafficReady() > 0 && len(status.GetBoot().GetPhases()) > 0 {
			return status, nil
		}
		if err == nil {
			err = fmt.Errorf("%s is not ready for traffic: %v", n.ID, status.GetMilestones())
		}
		if time.Now().After(deadline) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, interrupted(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
