package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"weir/services/api"
	"weir/services/console/report"
	"weir/services/console/terminal"
)

// showUpgrades shows slots, trial, job, and how earlier upgrades ended.
func showUpgrades(s *session, ctx context.Context, args []string) error {
	if len(args) > 0 {
		return errUsage
	}
	f := s.gather(ctx)
	if f.Update == nil {
		return f.UpdateErr
	}
	rows := [][]string{{"SLOT", "VERSION", "STATE", ""}}
	for _, v := range f.Update.Slots {
		rows = append(rows, []string{v.Name, dash(v.Version), v.Status, strings.TrimPrefix(yesNo(v.Running, ", runs", "")+yesNo(v.Committed, ", committed", ""), ", ")})
	}
	var out []string
	if len(rows) > 1 {
		out = append(table(rows), "")
	}
	out = append(out, report.Upgrade(f.Update)...)
	if past := s.pastUpgrades(ctx); len(past) > 1 {
		out = append(append(out, ""), table(past)...)
	}
	return s.page(out)
}

// pastUpgrades are those in the state database, newest first.
func (s *session) pastUpgrades(ctx context.Context) [][]string {
	ctx, cancel := context.WithTimeout(ctx, controlTime)
	defer cancel()
	rows := [][]string{{"UPGRADE", "TIME", "TO", "REASON"}}
	h, err := s.asker.Admin.History(ctx, &api.HistoryRequest{})
	if err != nil {
		return nil // noded tells why elsewhere
	}
	for _, u := range h.Upgrades {
		rows = append(rows, []string{u.End, u.Time, dash(u.Version), dash(u.Reason)})
	}
	return rows
}

// upgrade installs a version of the repository, or a bundle, and restarts into it.
func upgrade(s *session, ctx context.Context, args []string) error {
	r := &api.UpdateInstallRequest{Try: true}
	switch {
	case len(args) > 1:
		return errUsage
	case len(args) == 1 && strings.HasPrefix(args[0], "/"):
		r.Bundle = args[0]
	case len(args) == 1:
		r.Version = args[0]
	}
	if err := s.confirm("upgrade this node, and restart it?"); err != nil {
		return err
	}
	return s.interruptible(ctx, func(ctx context.Context) error {
		stream, err := s.asker.Update.Install(ctx, r)
		said := ""
		for err == nil {
			var p *api.UpdateProgress
			if p, err = stream.Recv(); err != nil {
				break
			}
			if p.Phase == "failed" {
				return errors.New(p.Error)
			}
			if line := report.Progress(p); line != said {
				fmt.Fprintln(s, terminal.Clean(line))
				said = line
			}
			if p.Phase == "done" {
				fmt.Fprintln(s, "the machine restarts into it; it stays if the node proves healthy")
				return nil
			}
		}
		if ctx.Err() != nil {
			fmt.Fprintln(s, "the upgrade goes on; see: upgrades")
			return nil
		}
		return s.asker.Explain("updated", err)
	})
}

// rollBack ends a trial, or goes back to the version before.
func rollBack(s *session, ctx context.Context, args []string) error {
	if err := s.confirm("go back to the version before, and restart this node?"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, controlTime)
	defer cancel()
	a, err := s.asker.Update.RollBack(ctx, &api.UpdateRollBackRequest{Reason: strings.Join(append([]string{"asked for on the console:"}, args...), " ")})
	if err != nil {
		return s.asker.Explain("updated", err)
	}
	return s.page([]string{a.Done})
}

// confirm asks before something that nobody should do by mistake.
func (s *session) confirm(question string) error {
	answer, err := s.line.read(question + " Type yes: ")
	if err != nil {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("not done")
	}
	return nil
}
