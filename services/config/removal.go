package config

import (
	"fmt"
	"slices"
	"strings"
)

// Removal is nil unless a change takes away a third or more of the nodes or of
// the servers (S-112). Who keeps its id but gets another number counts as gone:
// on the wire it is somebody else.
func Removal(old, new *Cluster) error {
	for _, list := range []struct {
		what string
		of   func(*Cluster) map[string]uint16
	}{
		{"nodes", func(c *Cluster) map[string]uint16 {
			m := map[string]uint16{}
			for i := range c.Nodes {
				m[c.Nodes[i].ID] = c.Nodes[i].Number
			}
			return m
		}},
		{"servers", func(c *Cluster) map[string]uint16 {
			m := map[string]uint16{}
			for _, s := range c.Servers {
				m[s.ID] = s.Number
			}
			return m
		}},
	} {
		before, after := list.of(old), list.of(new)
		var gone []string
		for id, number := range before {
			if n, ok := after[id]; !ok || n != number {
				gone = append(gone, id)
			}
		}
		if len(gone) > 0 && 3*len(gone) >= len(before) {
			return &RemovalError{list.what, slices.Sorted(slices.Values(gone)), len(before)}
		}
	}
	return nil
}

// RemovalError says that a change takes away too much.
type RemovalError struct {
	What string // nodes or servers
	Gone []string
	Of   int
}

func (e *RemovalError) Error() string {
	return fmt.Sprintf("it removes %d of %d %s: %s", len(e.Gone), e.Of, e.What, strings.Join(e.Gone, ", "))
}
