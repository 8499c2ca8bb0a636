package main

import (
	"context"
	"time"

	"weir/services/api"
	"weir/services/confsource"
	"weir/services/identity"
	"weir/services/noded/membership"
	"weir/services/program"
	"weir/services/version"
)

// openSource waits for the first configuration.
func (f *front) openSource(ctx context.Context) (*confsource.Source, error) {
	s, err := confsource.Open(ctx, f.log, confsource.Options{ClusterFile: f.file.ClusterFile, Service: f.file.Service, Role: identity.Node,
		ID: f.file.Node, Version: version.Version, State: f.db, StateDir: f.file.StateDir,
		Waiting: func(why error) { f.wait(why.Error()) }})
	if err != nil && ctx.Err() == nil {
		err = program.ConfigError(err)
	}
	return s, err
}

// watch puts every new configuration in force; one that cannot be changes nothing.
func (n *node) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-n.source.Changes():
			if err := n.take(c); err != nil {
				n.log.Error("the changed configuration is not in force", "revision", c.Revision, "error", err)
				n.source.InForce(c, err)
				continue
			}
			n.log.Info("the changed configuration is taken", "revision", c.Revision)
		case c := <-n.settled:
			n.source.InForce(c, nil)
		}
	}
}

// applied is called when the dataplane has a desired state.
func (n *node) applied(s *api.DesiredState) {
	n.front.milestones.reach(true, false, false)
	n.mu.Lock()
	c := n.config
	if n.desired == nil || n.desired.Generation != s.Generation || n.desiredOf != c {
		c = nil // of a configuration that is not the newest
	}
	n.mu.Unlock()
	if c != nil {
		n.front.keepNodeFile()
		n.settle(c)
	}
}

// settle tells the source that a configuration is in force, once the thread of
// health checks has it too: from then on this node can do without the former one.
func (n *node) settle(c *confsource.Config) {
	n.loop.Do(func(time.Duration, *membership.Core) {
		select {
		case <-n.settled: // an older one
		default:
		}
		n.settled <- c
	})
}
