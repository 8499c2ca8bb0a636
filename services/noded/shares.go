package main

import (
	"encoding/binary"
	"sync"

	"weir/dataplane/flow"
	"weir/dataplane/hashring"
	"weir/services/config"
	"weir/services/noded/membership"
)

// shareSamples is how many flows the ring shares are measured with: their error is below one per cent.
const shareSamples = 20000

// shares are the parts of all flows whose primary a node is. They are measured
// once per ring of a cluster configuration.
type shares struct {
	mu      sync.Mutex
	cluster *config.Cluster
	epoch   uint32
	byNode  map[uint16]float64
}

// of is the share of every node in the ring of a view, by number.
func (s *shares) of(c *config.Cluster, nodeID string, v *membership.View) map[uint16]float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster == c && s.epoch == v.Epoch {
		return s.byNode
	}
	s.cluster, s.epoch, s.byNode = c, v.Epoch, map[uint16]float64{}
	lb, err := config.LBNode(c, nodeID, v.ForConfig())
	if err != nil {
		return s.byNode
	}
	var members []hashring.Member
	for _, n := range lb.Nodes {
		if n.Tracker {
			members = append(members, hashring.Member{Number: n.Number, Seed: n.Seed})
		}
	}
	ring := hashring.New(members, lb.Secrets.Ring)
	for i := range uint32(shareSamples) {
		k := flow.Key{ClientPort: uint16(i), VIPPort: 80, Proto: 6}
		binary.BigEndian.PutUint32(k.Client[12:], i)
		if primary, _ := ring.Trackers(&k); primary != hashring.None {
			s.byNode[primary] += 1.0 / shareSamples
		}
	}
	return s.byNode
}
