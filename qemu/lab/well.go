package lab

import (
	"context"
	"fmt"
	"slices"

	"weir/qemu/topology"
	"weir/services/api"
)

// Well checks that all nodes but the absent are announced, know each other in
// their present lives, and have handed on every flow that the ring moved.
func (l *Lab) Well(ctx context.Context, absent ...string) error {
	present := slices.DeleteFunc(slices.Clone(l.Top.Nodes), func(n topology.Node) bool { return slices.Contains(absent, n.ID) })
	lives := map[string]uint64{} // boot ids of dataplanes
	all := map[string]*api.NodeStatus{}
	for _, n := range present {
		s, err := l.NodeStatus(ctx, n)
		if err != nil {
			return err
		}
		switch {
		case s.DataplaneError != "":
			return fmt.Errorf("%s: %s", n.ID, s.DataplaneError)
		case !s.Learned || s.Isolated:
			return fmt.Errorf("%s does not know the others", n.ID)
		}
		all[n.ID], lives[n.ID] = s, s.GetDataplane().GetBootId()
	}
	for _, n := range present {
		s := all[n.ID]
		for _, v := range s.Nodes {
			boot, expected := lives[v.Id]
			if expected && (v.Health != "healthy" || v.Phase != "announced" || v.Boot != boot) {
				return fmt.Errorf("to %s, %s is %s and %s in life %016x, now it has %016x", n.ID, v.Id, v.Health, v.Phase, v.Boot, boot)
			}
		}
		if first := all[present[0].ID]; s.RingEpoch != first.RingEpoch || s.SyncedEpoch != s.RingEpoch {
			return fmt.Errorf("%s has ring %08x and handed on for %08x, while %s has %08x", n.ID, s.RingEpoch, s.SyncedEpoch, present[0].ID, first.RingEpoch)
		}
	}
	return l.Announced(absent...)
}
