package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/config"
	"weir/services/identity"
)

// machineRow is one machine in `weirctl machine list -o json`. Its names are
// public interface.
type machineRow struct {
	Fingerprint string       `json:"fingerprint"`
	State       string       `json:"state"`   // pending, approved or revoked
	ID          string       `json:"id"`      // "node lb1"; empty: never approved
	Matches     string       `json:"matches"` // the entry that knows it; empty: none
	MACs        []string     `json:"macs"`
	Serial      string       `json:"serial"`
	UUID        string       `json:"uuid"`
	Address     string       `json:"address"`
	Seen        *float64     `json:"seen_seconds"` // ago; null: not since provisiond started
	Expires     *time.Time   `json:"expires"`      // of its certificate; null: it has none
	Version     string       `json:"version"`      // that it said it runs
	Boot        *machineBoot `json:"boot"`         // null: it does not boot from the network
}

type machineBoot struct {
	Committed string `json:"committed"`
	Trial     string `json:"trial"`
	Failed    string `json:"failed"`
	Installed bool   `json:"installed"`
}

// provision is where provisiond is, and how to call it.
type provision struct {
	w       *where
	address string
}

func newMachine(w *where) *cobra.Command {
	p := &provision{w: w}
	c := group("machine", "Approve and revoke the machines that boot over the network", p.list(), p.approve(), p.revoke())
	c.PersistentFlags().StringVar(&p.address, "provision", "", "`ADDR` of provisiond, with its port unless that is 6093")
	return c
}

func (p *provision) list() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "list",
		Short: "Show pending, approved and revoked machines",
		Long: `Show pending, approved and revoked machines.

A machine that asks for a certificate is pending until it is approved. Compare its
fingerprint with the one that its console shows.`,
		Example: "  weirctl machine list --provision 10.40.0.1",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return p.call(c.Context(), func(ctx context.Context, s api.ProvisionClient) error {
				l, err := s.Machines(ctx, &api.MachinesRequest{})
				if err != nil {
					return err
				}
				rows := []machineRow{}
				for _, m := range l.List {
					rows = append(rows, machineOf(m))
				}
				if format == "json" {
					return printJSON(c.OutOrStdout(), rows)
				}
				return printMachines(c.OutOrStdout(), rows, l.WaitedFor)
			})
		},
	}
	addFormat(c, &format)
	return c
}

func (p *provision) approve() *cobra.Command {
	var as string
	c := &cobra.Command{
		Use:   "approve MACHINE",
		Short: "Let a pending machine join the cluster",
		Long: `Let a pending machine join the cluster. MACHINE is its fingerprint, 8 digits of it
at least, or one of its MAC addresses. It becomes what the entry of provisiond.yaml
says that knows it by MAC address, serial number or UUID, or the one that --as names.`,
		Example: `  weirctl machine approve --provision 10.40.0.1 1f6a9c03
  weirctl machine approve --provision 10.40.0.1 52:54:00:12:34:56 --as lb3
  weirctl machine approve --provision 10.40.0.1 77aa01b2 --as server/srv5`,
		Args: exactly("MACHINE"),
		RunE: func(c *cobra.Command, args []string) error {
			role, id, both := strings.Cut(as, "/")
			if !both {
				role, id = config.RoleNode, as
			}
			return p.call(c.Context(), func(ctx context.Context, s api.ProvisionClient) error {
				m, err := s.Approve(ctx, &api.ApproveRequest{Machine: args[0], Role: role, Id: id})
				if err == nil {
					fmt.Fprintf(c.OutOrStdout(), "%s is %s %s\n", short(m.Fingerprint), m.Role, m.Id)
				}
				return err
			})
		},
	}
	c.Flags().StringVar(&as, "as", "", "`ID` of a node in provisiond.yaml, or server/ID")
	return c
}

func (p *provision) revoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke MACHINE",
		Short: "Take a machine's certificates back, or turn a pending one away",
		Long: `Take a machine's certificates back, or turn a pending one away. MACHINE is its id,
its fingerprint or one of its MAC addresses. It gets no configuration and no new
certificate. Take it out of the cluster file too.`,
		Example: "  weirctl machine revoke --provision 10.40.0.1 lb3",
		Args:    exactly("MACHINE"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.call(c.Context(), func(ctx context.Context, s api.ProvisionClient) error {
				m, err := s.Revoke(ctx, &api.RevokeRequest{Machine: args[0]})
				if err == nil {
					fmt.Fprintf(c.OutOrStdout(), "%s is revoked\n", short(m.Fingerprint))
				}
				return err
			})
		},
	}
}

// call calls provisiond as the operator, and turns its error into one for people.
func (p *provision) call(ctx context.Context, ask func(context.Context, api.ProvisionClient) error) error {
	if p.address == "" {
		return &coded{errors.New("name the provisioning service: --provision ADDR"), exitUsage}
	}
	address := p.address
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), fmt.Sprint(config.EnrolPort))
	}
	me, err := identity.Load(p.w.access.files)
	if err != nil {
		return &coded{err, exitUsage}
	}
	conn, err := grpc.NewClient("passthrough:"+address, grpc.WithTransportCredentials(credentials.NewTLS(me.Client(identity.Provisiond))))
	if err != nil {
		return fmt.Errorf("call provisiond: %w", err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, serviceTimeout)
	defer cancel()
	err = ask(ctx, api.NewProvisionClient(conn))
	s, isStatus := status.FromError(err)
	switch {
	case err == nil || !isStatus:
		return err
	case s.Code() == codes.NotFound:
		return &coded{errors.New(s.Message()), exitNotFound}
	case s.Code() == codes.Unavailable || s.Code() == codes.DeadlineExceeded:
		return fmt.Errorf("provisiond does not answer: %s", s.Message())
	}
	return errors.New(s.Message())
}

var machineStates = map[api.EnrolState]string{api.EnrolState_ENROL_PENDING: "pending", api.EnrolState_ENROL_APPROVED: "approved", api.EnrolState_ENROL_REVOKED: "revoked"}

func machineOf(m *api.EnrolledMachine) machineRow {
	row := machineRow{Fingerprint: m.Fingerprint, State: machineStates[m.State], Matches: m.Matches, MACs: slices.Concat([]string{}, m.Identity.GetMacs()),
		Serial: m.Identity.GetSerial(), UUID: m.Identity.GetUuid(), Address: m.Address, Version: m.Version}
	if m.Id != "" {
		row.ID = m.Role + " " + m.Id
	}
	if m.SeenSeconds >= 0 {
		row.Seen = &m.SeenSeconds
	}
	if m.Expires != 0 {
		t := time.Unix(m.Expires, 0).UTC()
		row.Expires = &t
	}
	if b := m.Boot; b != nil {
		row.Boot = &machineBoot{b.Committed, b.Trial, b.Failed, b.Installed}
	}
	return row
}

func printMachines(out io.Writer, rows []machineRow, free []*api.ConfiguredMachine) error {
	t := newTable(out)
	t.row("STATE", "MACHINE", "FINGERPRINT", "MAC", "SERIAL", "SEEN", "EXPIRES", "BOOTS", "ON TRIAL")
	for _, r := range rows {
		name, expires, boots, trial := r.ID, "-", "-", "-"
		if r.State == "pending" && r.Matches != "" {
			name = "(" + r.Matches + ")"
		}
		if r.Expires != nil {
			expires = r.Expires.Format(time.DateOnly)
		}
		if b := r.Boot; b != nil {
			boots, trial = orDash(b.Committed), orDash(b.Trial)
			if b.Failed != "" {
				trial += " failed: " + b.Failed
			}
		}
		t.row(r.State, orDash(name), short(r.Fingerprint), orDash(strings.Join(r.MACs, ",")), orDash(r.Serial), seen(r.Seen), expires, boots, trial)
	}
	for _, f := range free {
		t.row("expected", f.Role+" "+f.Id, "-", "-", "-", "-", "-", "-", "-")
	}
	return t.Flush()
}

// short is the beginning of a fingerprint, as a machine's console shows it first.
func short(fingerprint string) string { return fingerprint[:min(16, len(fingerprint))] }
