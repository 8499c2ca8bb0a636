package main

import (
	"fmt"
	"io"

	"weir/services/api"
)

// upgradeStatus is `weirctl upgrade status -o json`. Its names are public interface.
type upgradeStatus struct {
	Version string        `json:"version"`
	Back    bool          `json:"back"` // every node goes to the version of before
	AtOnce  uint32        `json:"at_once"`
	State   string        `json:"state"` // running, paused, stopped or done
	Reason  string        `json:"reason"`
	Remedy  string        `json:"remedy"`
	Begun   string        `json:"begun"`
	Ended   string        `json:"ended"`
	Nodes   []upgradeNode `json:"nodes"`
}

type upgradeNode struct {
	ID      string  `json:"id"`
	From    string  `json:"from"`
	To      string  `json:"to"`
	Phase   string  `json:"phase"` // waiting, installing, draining, restarting, trying, settling, done, failed or gone
	Now     string  `json:"now"`
	Drained bool    `json:"drained"` // by the upgrade, and not seen in service since
	Took    float64 `json:"took_seconds"`
	Out     float64 `json:"out_seconds"`
}

func upgradeOf(u *api.Rollout) upgradeStatus {
	out := upgradeStatus{Version: u.Version, Back: u.Back, AtOnce: u.AtOnce, State: u.State, Reason: u.Reason, Remedy: u.Remedy, Begun: u.Begun, Ended: u.Ended, Nodes: []upgradeNode{}}
	for _, n := range u.Nodes {
		out.Nodes = append(out.Nodes, upgradeNode{n.Id, n.From, n.To, n.Phase, n.Now, n.Drained, n.TookSeconds, n.OutSeconds})
	}
	return out
}

func printRollout(out io.Writer, u *api.Rollout) error {
	way := "to version " + u.Version
	if u.Back {
		way = "from version " + u.Version + " back to those of before"
	}
	t := newTable(out)
	fmt.Fprintf(t, "upgrade %s: %s\n", way, u.State)
	if u.Reason != "" {
		fmt.Fprintf(t, "why: %s\nwhat to do: %s\n", u.Reason, u.Remedy)
	}
	fmt.Fprintln(t)
	t.row("NODE", "FROM", "TO", "PHASE", "TIME", "OUT", "NOW")
	for _, n := range u.Nodes {
		t.row(n.Id, orDash(n.From), orDash(n.To), n.Phase, seconds(n.TookSeconds), seconds(n.OutSeconds), orDash(n.Now))
	}
	for _, n := range u.Nodes {
		if n.Drained && n.Phase != "draining" && n.Phase != "restarting" && n.Phase != "trying" {
			fmt.Fprintf(t, "\n%s was drained by the upgrade and is not known to be in service again: it is put back as soon as it answers\n", n.Id)
		}
	}
	return t.Flush()
}
