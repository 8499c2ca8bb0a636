package netdev

import (
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
)

// Mark is what the pair says of the module that made it, as the alias of its
// link. It lives exactly as long as what it tells of, so that everything can be
// removed whatever became of the files.
type Mark struct {
	Uplink string // name of the interface towards the fabric
	PinDir string // where maps and links are pinned
}

const (
	markBegin  = "weir lbmodule, uplink "
	markPins   = ", pins "
	aliasBytes = 255 // IFALIASZ, without the end
)

func (m Mark) alias() string { return markBegin + m.Uplink + markPins + m.PinDir }

func parseMark(alias string) (m Mark, ok bool) {
	rest, ok := strings.CutPrefix(alias, markBegin)
	if !ok {
		return m, false
	}
	m.Uplink, m.PinDir, ok = strings.Cut(rest, markPins)
	return m, ok
}

// mark writes the mark on the module's interface.
func mark(l netlink.Link, m Mark) error {
	want := m.alias()
	if l.Attrs().Alias == want {
		return nil
	}
	if len(want) > aliasBytes {
		return fmt.Errorf("bpf_dir %s is too long to be remembered: at most %d characters", m.PinDir, aliasBytes-len(want)+len(m.PinDir))
	}
	if err := netlink.LinkSetAlias(l, want); err != nil {
		return fmt.Errorf("mark interface %s as the module's: %w", l.Attrs().Name, err)
	}
	return nil
}

// Marked finds the modules' interfaces in this network namespace and what they
// say, by name. There is one at most, unless the configuration changed.
func Marked() (map[string]Mark, error) {
	all, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	found := map[string]Mark{}
	for _, l := range all {
		if m, ok := parseMark(l.Attrs().Alias); ok && l.Type() == "veth" {
			found[l.Attrs().Name] = m
		}
	}
	return found, nil
}
