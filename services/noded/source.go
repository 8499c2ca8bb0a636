package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"weir/services/api"
	"weir/services/config"
	"weir/services/confsource"
	"weir/services/identity"
	"weir/services/noded/membership"
	"weir/services/program"
	"weir/services/state"
	"weir/services/version"
)

// source is where the cluster's configuration comes from, and the state
// database in which the last good one is, and the operator's wishes (S-102).
type source struct {
	*confsource.Source
	db *state.DB
}

// openSource waits for the first configuration.
func openSource(ctx context.Context, log *slog.Logger, file *config.Node) (*source, error) {
	s := &source{}
	o := confsource.Options{ClusterFile: file.ClusterFile, Service: file.Service, Role: identity.Node, ID: file.Node,
		Version: version.Version, StateDir: file.StateDir}
	var err error
	if s.db, err = state.Open(file.StateDir, log); err != nil {
		return nil, err
	}
	o.State = s.db
	if s.Source, err = confsource.Open(ctx, log, o); err != nil {
		if ctx.Err() == nil {
			err = program.ConfigError(err)
		}
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

func (s *source) close() {
	s.Close()
	_ = s.db.Close()
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
	n.mu.Lock()
	c := n.config
	if n.desired == nil || n.desired.Generation != s.Generation || n.desiredOf != c {
		c = nil // of a configuration that is not the newest
	}
	n.mu.Unlock()
	if c != nil {
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
