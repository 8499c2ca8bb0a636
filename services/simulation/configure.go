package simulation

import (
	"fmt"

	"weir/dataplane/lbnode"
	"weir/dataplane/packet"
	"weir/services/config"
)

// Configure gives every node and module the cluster's present configuration as
// the cluster file has it: without membership, everything in it is well.
func (c *Cluster) Configure() error {
	for _, n := range c.Nodes {
		if err := c.configureNode(n, nil); err != nil {
			return err
		}
	}
	for _, s := range c.Servers {
		if err := s.configure(c.config); err != nil {
			return err
		}
	}
	return nil
}

// configureNode gives a node the configuration that follows from what it knows
// of the others.
func (c *Cluster) configureNode(n *Node, v *config.View) error {
	cfg, err := config.LBNode(c.config, n.ID, v)
	if err != nil {
		return err
	}
	self := int(n.Number)
	cfg.Boot = n.Boot
	cfg.MACs = [packet.NumPorts]lbnode.MAC{lbnode.MAC(nodeMAC(0, self)), lbnode.MAC(nodeMAC(1, self))}
	cfg.Routers = []lbnode.MAC{lbnode.MAC(routerMAC())}
	cfg.WallNanos = epoch.UnixNano() + n.wall - n.clock.ahead
	cfg.Vital = n.vital
	if !c.membership {
		cfg.Lease = 0 // entries live until their room is needed
	}
	for i := range cfg.Nodes {
		cfg.Nodes[i].MAC = lbnode.MAC(nodeMAC(1, int(cfg.Nodes[i].Number)))
	}
	for i := range cfg.Servers {
		cfg.Servers[i].MAC = lbnode.MAC(serverMAC(int(cfg.Servers[i].Number)))
	}
	if err := cfg.Prepare(); err != nil {
		return fmt.Errorf("configure node %s: %w", n.ID, err)
	}
	n.SetConfig(&cfg)
	return nil
}
