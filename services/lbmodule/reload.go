package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"weir/services/config"
	"weir/services/lbmodule/netdev"
)

// watch puts the cluster file in force again when it changes, or on SIGHUP.
func (m *module) watch() {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := stamp(m.file.ClusterFile)
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-hup:
			last = stamp(m.file.ClusterFile)
		case <-tick.C:
			now := stamp(m.file.ClusterFile)
			if now == last {
				continue
			}
			last = now
		}
		if err := m.reload(); err != nil {
			m.log.Error("the cluster file is not put in force; the former one stays", "error", err)
			continue
		}
		m.log.Info("the cluster file is in force")
	}
}

// stamp changes when a file does.
func stamp(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return err.Error()
	}
	inode := uint64(0)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = st.Ino
	}
	return fmt.Sprintf("%d %d %d", inode, info.Size(), info.ModTime().UnixNano())
}

// reload takes up nodes, endpoints, addresses, thresholds and control keys. The
// server's own address and the key of all places change with a restart, which
// costs nothing.
func (m *module) reload() error {
	cluster, err := config.LoadCluster(m.file.ClusterFile)
	if err != nil {
		return err
	}
	s, err := join(m.file, cluster)
	if err != nil {
		return err
	}
	if s.server.Address != m.settings.server.Address || cluster.Keys.Base != m.settings.cluster.Keys.Base {
		return errors.New("the server's address or the cluster's base key changed; restart lbmodule")
	}
	cfg := s.agentConfig(m.boot)
	if _, err := netdev.Ensure(&netdev.Config{Name: s.file.Interface, MTU: cluster.FabricMTU, Addresses: vips(cfg.Endpoints)}); err != nil {
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
func (m *module) drainMark() string { return filepath.Join(m.file.RunDir, "draining") }

func (m *module) drainMarked() bool {
	_, err := os.Stat(m.drainMark())
	return err == nil
}

// setDraining starts or ends draining (S-34).
func (m *module) setDraining(on bool) error {
	var err error
	if on {
		err = os.WriteFile(m.drainMark(), nil, 0o600)
	} else if err = os.Remove(m.drainMark()); errors.Is(err, os.ErrNotExist) {
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
