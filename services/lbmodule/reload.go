package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"weir/services/config"
	"weir/services/confsource"
	"weir/services/identity"
	"weir/services/lbmodule/netdev"
	"weir/services/program"
	"weir/services/state"
	"weir/services/version"
)

// openSource waits for the first configuration, from a file or the service, and
// joins it with the module's own file.
func (m *module) openSource() (*confsource.Config, error) {
	o := confsource.Options{ClusterFile: m.file.ClusterFile, Service: m.file.Service, Role: identity.Server, ID: m.file.Server,
		Version: version.Version, StateDir: m.file.StateDir, Waiting: m.wait}
	var err error
	if m.file.Service.InUse() { // whose last good configuration is kept
		if o.State, err = state.Open(m.file.StateDir, m.log); err != nil {
			return nil, err
		}
		m.onClose(o.State.Close)
	}
	if m.source, err = confsource.Open(m.ctx, m.log, o); err != nil {
		if m.ctx.Err() == nil {
			err = program.ConfigError(err)
		}
		return nil, err
	}
	m.onClose(func() error { m.source.Close(); return nil })
	first := m.source.Current()
	m.warn(first.Cluster)
	m.settings, err = join(m.file, first.Cluster)
	return first, err
}

// wait tells that there is no configuration yet: the program runs as it should,
// and nobody who starts it has to wait for an operator's approval.
func (m *module) wait(why error) {
	m.super.Ready("waits for the configuration service: " + why.Error())
}

func (m *module) warn(c *config.Cluster) {
	for _, w := range c.Warnings {
		m.log.Warn(w)
	}
}

// watch puts every new configuration in force.
func (m *module) watch() {
	for {
		var c *confsource.Config
		select {
		case <-m.ctx.Done():
			return
		case c = <-m.source.Changes():
		}
		m.warn(c.Cluster)
		err := m.reload(c.Cluster)
		m.source.InForce(c, err)
		if err != nil {
			m.log.Error("the changed configuration is not put in force; the former one stays", "revision", c.Revision, "error", err)
			continue
		}
		m.log.Info("the changed configuration is in force", "revision", c.Revision)
	}
}

// reload takes up nodes, endpoints, addresses, thresholds and control keys. The
// server's own address and the key of all places change with a restart, which
// costs nothing.
func (m *module) reload(cluster *config.Cluster) error {
	s, err := join(m.file, cluster)
	if err != nil {
		return err
	}
	if s.server.Address != m.settings.server.Address || cluster.Keys.Base != m.settings.cluster.Keys.Base {
		return errors.New("the server's address or the cluster's base key changed; restart lbmodule")
	}
	cfg := s.agentConfig(m.boot)
	if _, err := netdev.Ensure(&netdev.Config{Name: s.file.Interface, MTU: cluster.FabricMTU, Addresses: vips(cfg.Endpoints), Mark: m.mark()}); err != nil {
		return err
	}
	m.loop.call(m.ctx, func() {
		m.core.SetConfig(cfg)
		if err = m.data.Configure(m.core.Nodes(), cfg.Endpoints); err != nil {
			return
		}
		m.control.SetSteps(s.curve())
		m.loop.sampler.endpoints = cfg.Endpoints
		m.settings = s
	})
	return err
}

// drainMark is a file that lives as long as the machine is up: a restarted
// agent goes on draining.
func drainMark(file *config.Module) string { return filepath.Join(file.RunDir, "draining") }

func (m *module) drainMarked() bool {
	_, err := os.Stat(drainMark(m.file))
	return err == nil
}

// setDraining starts or ends draining (S-34).
func (m *module) setDraining(on bool) error {
	var err error
	if on {
		err = os.WriteFile(drainMark(m.file), nil, 0o600)
	} else if err = os.Remove(drainMark(m.file)); errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("remember the draining state: %w", err)
	}
	if !m.loop.call(m.ctx, func() { m.core.SetDraining(on) }) {
		return errors.New("lbmodule is ending")
	}
	m.log.Info("draining", "on", on)
	return nil
}
