package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"weir/services/api"
)

// unreachable is the health of what does not answer.
const unreachable = "unreachable"

// clusterStatus is what `weirctl status -o json` prints. Its names are public interface.
type clusterStatus struct {
	Cluster string            `json:"cluster"`
	Nodes   []nodeRow         `json:"nodes"`
	Servers []serverRow       `json:"servers"`
	BGP     []bgpRow          `json:"bgp"`
	Flows   flowsRow          `json:"flows"`
	Drops   map[string]uint64 `json:"drops"`
	Alarms  []alarmRow        `json:"alarms"`
}

type nodeRow struct {
	ID        string  `json:"id"`
	Health    string  `json:"health"`
	Phase     string  `json:"phase"`   // receive-only, tracking, speaking, announced, leaving or drained; empty: not known
	Version   string  `json:"version"` // empty: was not asked, or does not answer
	RingShare float64 `json:"ring_share"`
	North     string  `json:"north"`
	South     string  `json:"south"`
	Dataplane string  `json:"dataplane"` // its version; empty like Version

	AnnouncedBy []string `json:"announced_by"`   // who holds established sessions for it with all routers
	Uptime      float64  `json:"uptime_seconds"` // of the machine, or of its control plane where there is no appliance; 0: was not asked

	// Of an appliance, as its init and control plane tell.
	Boot       *api.BootStatus `json:"boot,omitempty"`
	Services   []*api.Service  `json:"services,omitempty"`
	Milestones *api.Milestones `json:"milestones,omitempty"`

	Upgrade *api.UpdateStatus `json:"upgrade,omitempty"`
}

type serverRow struct {
	ID          string   `json:"id"`
	Health      string   `json:"health"`
	Utilization *float64 `json:"utilization"` // null: its module was not asked
	Connections *int     `json:"connections"`
	Address     string   `json:"address"`
	Weight      uint32   `json:"weight"`
}

type bgpRow struct {
	Node       string `json:"node"`
	Advertises string `json:"advertises"`
	Peer       string `json:"peer"`
	State      string `json:"state"`
	Slot       string `json:"slot"`
	Source     string `json:"source"`
	Reason     string `json:"reason"`
	Losses     uint64 `json:"losses"`
	Prefixes   uint32 `json:"prefixes"`
}

// flowsRow and the drops are sums over the nodes that answered.
type flowsRow struct {
	Established uint64 `json:"established"`
	HalfOpen    uint64 `json:"half_open"`
	Capacity    uint64 `json:"capacity"`
}

type alarmRow struct {
	Node string `json:"node"`
	Text string `json:"text"`
}

func newStatus(w *where) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "status",
		Short: "Show nodes, servers, BGP sessions, flows, drops and alarms",
		Example: `  weirctl status
  weirctl --lab status -o json`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			s, failures, err := gather(c.Context(), w)
			for _, f := range failures {
				fmt.Fprintln(c.ErrOrStderr(), "weirctl:", f)
			}
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(c.OutOrStdout(), s)
			}
			return s.print(c.OutOrStdout())
		},
	}
	addFormat(c, &format)
	return c
}

func addFormat(c *cobra.Command, format *string) {
	c.Flags().StringVarP(format, "output", "o", "table", "table or json")
}

func checkFormat(format string) error {
	if format != "table" && format != "json" {
		return &coded{fmt.Errorf("unknown output format %q; use table or json", format), exitUsage}
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// gather asks everybody. Who does not answer is in failures; the error is for
// when no node at all does.
func gather(ctx context.Context, w *where) (s *clusterStatus, failures []error, err error) {
	nodes, modules, err := w.targets()
	if err != nil {
		return nil, nil, err
	}
	views, nodeErrs := askAll(nodes, func(t target) (*api.NodeStatus, error) {
		return askNode(ctx, t, func(ctx context.Context, a api.AdminClient) (*api.NodeStatus, error) {
			return a.Status(ctx, &api.NodeStatusRequest{})
		})
	})
	agents, agentErrs := askAll(modules, func(t target) (*api.ModuleStatus, error) {
		v := &api.ModuleStatus{}
		return v, askModule(ctx, t, "GET", "/status", nil, v)
	})
	i := bestView(views, nodeErrs)
	if i < 0 {
		return nil, nil, noAnswer(nodeErrs)
	}
	for _, err := range slices.Concat(nodeErrs, agentErrs) {
		if err != nil {
			failures = append(failures, err)
		}
	}
	s = &clusterStatus{Cluster: views[i].Cluster, Drops: map[string]uint64{}, BGP: []bgpRow{}, Alarms: []alarmRow{}}
	s.takeViews(views[i])
	for j, v := range views {
		if nodeErrs[j] != nil {
			if r := s.node(nodes[j].id); r != nil {
				r.Health = unreachable
			}
			continue
		}
		s.takeNode(v)
	}
	for j, a := range agents {
		s.takeModule(modules[j], a, agentErrs[j])
	}
	slices.SortStableFunc(s.BGP, func(a, b bgpRow) int {
		return cmp.Or(cmp.Compare(a.Advertises, b.Advertises), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Peer, b.Peer))
	})
	return s, failures, nil
}

// bestView is the place of the node whose view of the others counts: one that is
// not cut off from them and knows them. -1: nobody answers.
func bestView(views []*api.NodeStatus, errs []error) int {
	best := -1
	for i, v := range views {
		if errs[i] == nil && (best < 0 || (views[best].Isolated || !views[best].Learned) && v.Learned && !v.Isolated) {
			best = i
		}
	}
	return best
}

// noAnswer is the error for when nobody answers: one of the reasons stands for all.
func noAnswer(errs []error) error {
	if len(errs) == 0 {
		return errors.New("there is no node to ask")
	}
	return fmt.Errorf("no node answers: %w", errs[0])
}

// takeViews takes the lists of nodes and servers, as one node sees them.
func (s *clusterStatus) takeViews(v *api.NodeStatus) {
	s.Nodes, s.Servers = []nodeRow{}, []serverRow{}
	for _, n := range v.Nodes {
		s.Nodes = append(s.Nodes, nodeRow{ID: n.Id, Health: n.Health, Phase: n.Phase, RingShare: n.RingShare, North: n.North, South: n.South,
			AnnouncedBy: append([]string{}, n.AnnouncedBy...)})
	}
	for _, x := range v.Servers {
		s.Servers = append(s.Servers, serverRow{ID: x.Id, Health: x.Health, Address: x.Address, Weight: x.Weight})
	}
}

// takeNode adds what a node says of itself.
func (s *clusterStatus) takeNode(v *api.NodeStatus) {
	r := s.node(v.Id)
	if r == nil { // it has no configuration, or another one
		s.Nodes = append(s.Nodes, nodeRow{ID: v.Id, Health: api.HealthUnhealthy, AnnouncedBy: []string{}})
		r = &s.Nodes[len(s.Nodes)-1]
	}
	r.Version, r.Dataplane, r.Uptime = v.Version, v.GetDataplane().GetVersion(), v.UptimeSeconds
	if v.Boot != nil {
		r.Boot, r.Services, r.Milestones, r.Uptime = v.Boot, v.Services, v.Milestones, v.Boot.UptimeSeconds
		r.Upgrade = v.Update
	}
	for _, n := range v.Nodes {
		if n.Id == v.Id && r.Health == api.HealthHealthy {
			r.Phase = n.Phase // it knows best
		}
	}
	for _, b := range v.Bgp {
		s.BGP = append(s.BGP, bgpRow{Node: b.Node, Advertises: b.Advertises, Peer: b.Peer, State: b.State, Slot: b.Slot, Source: b.Source,
			Reason: b.Reason, Losses: b.Losses, Prefixes: b.Prefixes})
	}
	f := v.GetDataplane().GetFlows()
	s.Flows.Established += f.GetEstablished()
	s.Flows.HalfOpen += f.GetHalfOpen()
	s.Flows.Capacity += f.GetCapacity()
	for reason, n := range v.GetDataplane().GetDrops() {
		s.Drops[reason] += n
	}
	for _, a := range v.Alarms {
		s.Alarms = append(s.Alarms, alarmRow{v.Id, a})
	}
}

// takeModule adds what a module says of its server.
func (s *clusterStatus) takeModule(t target, m *api.ModuleStatus, err error) {
	id := t.id
	if err == nil {
		id = m.ID
	}
	i := slices.IndexFunc(s.Servers, func(r serverRow) bool { return r.ID == id })
	switch {
	case i < 0:
	case err != nil:
		s.Servers[i].Health = unreachable
	default:
		r := &s.Servers[i]
		r.Utilization, r.Connections = &m.Utilization, &m.Connections
		if r.Health == api.HealthHealthy {
			r.Health = m.Health // draining is the server's own word
		}
	}
}

func (s *clusterStatus) node(id string) *nodeRow {
	if i := slices.IndexFunc(s.Nodes, func(r nodeRow) bool { return r.ID == id }); i >= 0 {
		return &s.Nodes[i]
	}
	return nil
}
