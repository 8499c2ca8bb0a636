package main

import (
	"time"

	"google.golang.org/grpc"

	"weir/services/api"
	"weir/services/noded/membership"
)

// drainedKey is the record that says that the operator wants this node out: a
// node that is restarted stays drained.
const drainedKey = "drained"

// drainPoll is how often the progress of draining is looked at.
const drainPoll = 50 * time.Millisecond

// drain takes this node out of service, or puts it back, and tells how far it is.
func (n *node) drain(r *api.DrainRequest, stream grpc.ServerStreamingServer[api.DrainProgress]) error {
	n.wantDrained(!r.Undrain, r.UntilRestart)
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	told := ""
	for {
		text, done := n.drainProgress(!r.Undrain)
		if text != told || done {
			if err := stream.Send(&api.DrainProgress{Phase: text, Done: done}); err != nil {
				return err
			}
			told = text
		}
		if done {
			return nil
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-tick.C:
		}
	}
}

// wantDrained notes what the operator wants and tells membership. A disk that
// does not take the note is in the alarms, and no reason to disobey. What holds
// only until the restart is not noted.
func (n *node) wantDrained(drain, untilRestart bool) {
	var err error
	switch {
	case !drain:
		err = n.front.db.Delete(drainedKey)
	case !untilRestart:
		err = n.front.db.Put(drainedKey, []byte(time.Now().UTC().Format(time.RFC3339)))
	}
	n.log.Info("the operator wants this node", "drained", drain, "until_restart", untilRestart, "error", err)
	n.loop.Do(func(now time.Duration, core *membership.Core) { core.Drain(now, drain) })
}

// drainProgress is how far the node is on its way, in words.
func (n *node) drainProgress(drain bool) (text string, done bool) {
	n.mu.Lock()
	c, v := n.cluster, n.view
	n.mu.Unlock()
	number := c.Member(n.file.Node).Number
	for i := range v.Nodes {
		if s := &v.Nodes[i]; s.Number == number {
			return drainText(s, drain, v.Drained)
		}
	}
	return "the node is starting", false
}

func drainText(s *membership.NodeView, drain, drained bool) (text string, done bool) {
	switch {
	case drain && drained:
		return "drained: nothing depends on this node", true
	case drain && s.Leaving && s.Track:
		return "routers withdraw it", false
	case drain && s.Leaving:
		return "its flows move to the other nodes", false
	case drain:
		return "announces are ended", false
	case s.Announce:
		return "in service", true
	case s.Speak:
		return "it announces its neighbours", false
	case s.Track:
		return "it takes over its flows", false
	}
	return "it joins", false
}
