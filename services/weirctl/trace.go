package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"

	"github.com/spf13/cobra"

	"weir/services/api"
)

// flowTrace is what `weirctl trace -o json` prints. Its names are public interface.
type flowTrace struct {
	Client    string      `json:"client"`
	VIP       string      `json:"vip"`
	Endpoint  string      `json:"endpoint"`
	Ingress   string      `json:"ingress"` // id of the node that the client's packets last came through; empty: not known
	Primary   string      `json:"primary"`
	Secondary string      `json:"secondary"` // empty: a lone node tracks
	Server    string      `json:"server"`
	Egress    string      `json:"egress"`
	State     string      `json:"state"`
	ClientISN uint32      `json:"client_isn"`
	ServerISN uint32      `json:"server_isn"`
	Nodes     []nodeTrace `json:"nodes"` // what every node holds
}

type nodeTrace struct {
	ID      string `json:"id"`
	Ingress string `json:"ingress"` // state of its entry; empty: none
	Tracker string `json:"tracker"`
	Server  string `json:"server"`
	Worker  uint32 `json:"worker"`
}

func newTrace(w *where) *cobra.Command {
	var format, client, vip string
	c := &cobra.Command{
		Use:   "trace --client ADDR:PORT --vip ADDR:PORT",
		Short: "Show where a live TCP connection goes, and who holds its state",
		Long: `Show where a live TCP connection goes, and who holds its state.

Ingress and trackers are known to the nodes, server and egress to the module of
the server: all of them are asked. Exit code 3 if nobody knows the connection.`,
		Example: `  weirctl --lab trace --client 198.51.100.10:40000 --vip 203.0.113.10:80
  weirctl --lab trace --client '[2001:db8:51::10]:40000' --vip '[2001:db8:100::10]:80' -o json`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			for _, f := range []struct{ name, value string }{{"client", client}, {"vip", vip}} {
				if _, err := netip.ParseAddrPort(f.value); err != nil {
					return &coded{fmt.Errorf("--%s: %q is not an address with a port; write 192.0.2.1:80 or [2001:db8::1]:80", f.name, f.value), exitUsage}
				}
			}
			t, failures, err := traceFlow(c.Context(), w, client, vip)
			for _, f := range failures {
				fmt.Fprintln(c.ErrOrStderr(), "weirctl:", f)
			}
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(c.OutOrStdout(), t)
			}
			return t.print(c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&client, "client", "", "the client's address and port")
	c.Flags().StringVar(&vip, "vip", "", "the public address and port")
	addFormat(c, &format)
	return c
}

func traceFlow(ctx context.Context, w *where, client, vip string) (t *flowTrace, failures []error, err error) {
	nodes, modules, err := w.targets()
	if err != nil {
		return nil, nil, err
	}
	answers, nodeErrs := askAll(nodes, func(t target) (*api.NodeTrace, error) {
		return askNode(ctx, t, func(ctx context.Context, a api.AdminClient) (*api.NodeTrace, error) {
			return a.Trace(ctx, &api.TraceRequest{Client: client, Vip: vip})
		})
	})
	found, moduleErrs := askAll(modules, func(t target) (*api.ModuleTrace, error) {
		v := &api.ModuleTrace{}
		return v, askModule(ctx, t, "GET", "/trace", url.Values{"client": {client}, "vip": {vip}}, v)
	})
	t = &flowTrace{Client: client, VIP: vip, Nodes: []nodeTrace{}}
	answered := 0
	for i, a := range answers {
		if nodeErrs[i] != nil {
			failures = append(failures, nodeErrs[i])
			continue
		}
		answered++
		t.takeNode(a)
	}
	for i, m := range found {
		switch {
		case errors.Is(moduleErrs[i], errNotThere):
		case moduleErrs[i] != nil:
			failures = append(failures, moduleErrs[i])
		default:
			t.takeModule(m)
		}
	}
	if answered == 0 {
		return nil, nil, noAnswer(nodeErrs)
	}
	if t.State == "" {
		return nil, failures, &coded{fmt.Errorf("nobody knows a connection from %s to %s", client, vip), exitNotFound}
	}
	return t, failures, nil
}

// takeNode adds what one node knows. The ring is the same everywhere; a
// mapping at ingress is, unless the router changed its mind, on one node only.
func (t *flowTrace) takeNode(a *api.NodeTrace) {
	nodeName, serverName := map[uint32]string{}, map[uint32]string{}
	for _, n := range a.Nodes {
		nodeName[n.Number] = n.Id
	}
	for _, s := range a.Servers {
		serverName[s.Number] = s.Id
	}
	d := a.GetDataplane()
	row := nodeTrace{ID: a.Node, Worker: d.GetWorker(), Ingress: d.GetIngress().GetState(), Tracker: d.GetTracker().GetState()}
	for _, e := range []*api.TraceEntry{d.GetTracker(), d.GetIngress()} {
		if e == nil {
			continue
		}
		row.Server = serverName[e.Server]
		t.Server, t.State = row.Server, e.State
		t.ClientISN, t.ServerISN = e.ClientIsn, e.ServerIsn
	}
	if d.GetIngress() != nil {
		t.Ingress = a.Node
	}
	t.Primary, t.Secondary = nodeName[d.GetPrimary()], nodeName[d.GetSecondary()]
	if e := d.GetEndpoint(); e != "" {
		t.Endpoint = e
	}
	t.Nodes = append(t.Nodes, row)
}

// takeModule adds what the module of the connection's server knows; its word
// about server, ingress and egress goes before that of the nodes.
func (t *flowTrace) takeModule(m *api.ModuleTrace) {
	t.Server, t.Egress, t.State = m.Server, m.Egress, m.State
	t.ClientISN, t.ServerISN = m.ClientISN, m.ServerISN
	if m.Ingress != "" {
		t.Ingress = m.Ingress
	}
}

// print is the table that people read.
func (t *flowTrace) print(w io.Writer) error {
	p := newTable(w)
	for _, r := range [][2]string{
		{"client", t.Client}, {"vip", t.VIP}, {"endpoint", t.Endpoint}, {"state", t.State}, {"ingress", t.Ingress}, {"primary", t.Primary},
		{"secondary", t.Secondary}, {"server", t.Server}, {"egress", t.Egress},
	} {
		p.row(r[0], orDash(r[1]))
	}
	fmt.Fprintln(p)
	p.row("NODE", "INGRESS ENTRY", "TRACKER ENTRY", "SERVER", "WORKER")
	for _, n := range t.Nodes {
		p.row(n.ID, orDash(n.Ingress), orDash(n.Tracker), orDash(n.Server), n.Worker)
	}
	return p.Flush()
}
