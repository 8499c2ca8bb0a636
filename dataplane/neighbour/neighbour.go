// Package neighbour mirrors what the kernel knows of next hops (S-85): the
// kernel owns ARP and ND on the exception interfaces, the dataplane needs the
// MAC addresses. The mirror names next hops to the kernel often enough that it
// keeps them resolved, although the kernel itself never sends them a packet.
package neighbour

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weir/dataplane/packet"
)

const (
	// retry is how often an unresolved next hop is named to the kernel, which
	// by itself asks three times, a second apart, and then gives up.
	retry = time.Second
	// refresh is how often a resolved one is: well within the 30 s or so after
	// which the kernel doubts an answer.
	refresh = 5 * time.Second
	// settle gathers changes that come together into one report.
	settle = 5 * time.Millisecond
)

// Target is an address that frames go to, on one side of the node.
type Target struct {
	Addr netip.Addr
	Port packet.Port
}

// Entry is what is known of a target.
type Entry struct {
	Target
	NextHop netip.Addr // the target itself or a gateway; invalid: there is no route
	MAC     [6]byte    // zero: never resolved
	State   string     // the kernel's (reachable, stale, failed …) or why there is none
	named   time.Time  // to the kernel
}

// Mirror follows the kernel's tables of the exception interfaces.
type Mirror struct {
	handle  *netlink.Handle
	links   [packet.NumPorts]int // interface indexes
	changed func()

	mu      sync.Mutex
	entries map[Target]*Entry

	kick chan struct{} // targets changed
}

// New makes a mirror of the tables of two interfaces, by name. changed is
// called, from Run's goroutine, after any MAC changed.
func New(interfaces [packet.NumPorts]string, changed func()) (*Mirror, error) {
	m := &Mirror{changed: changed, entries: make(map[Target]*Entry), kick: make(chan struct{}, 1)}
	for side, name := range interfaces {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return nil, fmt.Errorf("find interface %s: %w", name, err)
		}
		m.links[side] = i.Index
	}
	var err error
	if m.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	return m, nil
}

// SetTargets says which next hops are needed. What is known of those that stay
// is kept.
func (m *Mirror) SetTargets(targets []Target) {
	m.mu.Lock()
	entries := make(map[Target]*Entry, len(targets))
	for _, t := range targets {
		e := m.entries[t]
		if e == nil {
			e = &Entry{Target: t, State: "new"}
		}
		entries[t] = e
	}
	m.entries = entries
	m.mu.Unlock()
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// MAC is a target's next hop; zero if it was never resolved. A next hop that
// stopped to answer keeps its last address: whether it is dead is for the
// health checks to say, and one lost ARP answer must not stop forwarding.
func (m *Mirror) MAC(t Target) [6]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.entries[t]; e != nil {
		return e.MAC
	}
	return [6]byte{}
}

// Entries lists all targets, in a stable order.
func (m *Mirror) Entries() []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Entry, 0, len(m.entries))
	for _, e := range m.entries {
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b Entry) int {
		if a.Port != b.Port {
			return int(a.Port) - int(b.Port)
		}
		return a.Addr.Compare(b.Addr)
	})
	return out
}

// Run follows the kernel until ctx ends. Events of the kernel only say that it
// is time to look: a lost event costs a second at most.
func (m *Mirror) Run(ctx context.Context) error {
	defer m.handle.Close()
	done := make(chan struct{})
	defer close(done)
	events, err := subscribe(done)
	if err != nil {
		return err
	}
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for {
		changed, err := m.look()
		if err != nil {
			return err
		}
		if changed {
			m.changed()
		}
		m.name(time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-m.kick:
		case _, ok := <-events:
			if !ok {
				// The kernel had more to say than the socket could hold.
				if events, err = subscribe(done); err != nil {
					return err
				}
			}
			gather(ctx, events)
		}
	}
}

func subscribe(done <-chan struct{}) (<-chan netlink.NeighUpdate, error) {
	events := make(chan netlink.NeighUpdate, 64)
	if err := netlink.NeighSubscribe(events, done); err != nil {
		return nil, fmt.Errorf("follow the kernel's neighbour table: %w", err)
	}
	return events, nil
}

// gather takes the events of a moment together.
func gather(ctx context.Context, events <-chan netlink.NeighUpdate) {
	t := time.NewTimer(settle)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			return
		case _, ok := <-events:
			if !ok {
				return
			}
		}
	}
}

type hop struct {
	link int
	addr netip.Addr
}

// look compares the kernel's tables with the entries.
func (m *Mirror) look() (changed bool, err error) {
	table := make(map[hop]netlink.Neigh)
	for _, link := range m.links {
		list, err := m.handle.NeighList(link, netlink.FAMILY_ALL)
		if err != nil {
			return false, fmt.Errorf("read the kernel's neighbour table: %w", err)
		}
		for _, n := range list {
			if a, ok := netip.AddrFromSlice(n.IP); ok {
				table[hop{link, a.Unmap()}] = n
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.entries {
		if e.NextHop, err = m.nextHop(e.Target); err != nil {
			e.State = err.Error()
			continue
		}
		n, ok := table[hop{m.links[e.Port], e.NextHop}]
		if !ok {
			e.State = "unknown"
			continue
		}
		e.State = stateName(n.State)
		if n.State&usable != 0 && len(n.HardwareAddr) == 6 && e.MAC != [6]byte(n.HardwareAddr) {
			e.MAC, changed = [6]byte(n.HardwareAddr), true
		}
	}
	return changed, nil
}

var errNoRoute = errors.New("no route")

// nextHop asks the kernel's routes, which must lead out on the target's side.
func (m *Mirror) nextHop(t Target) (netip.Addr, error) {
	// Naming the interface in the question would make the kernel take every
	// address for a neighbour there.
	routes, err := m.handle.RouteGet(t.Addr.AsSlice())
	if err != nil || len(routes) == 0 || routes[0].LinkIndex != m.links[t.Port] {
		return netip.Addr{}, errNoRoute
	}
	if gw, ok := netip.AddrFromSlice(routes[0].Gw); ok {
		return gw.Unmap(), nil
	}
	return t.Addr, nil
}

// name tells the kernel which next hops are in use, as a packet would: it
// resolves an unknown one and probes one that it doubts.
func (m *Mirror) name(now time.Time) {
	m.mu.Lock()
	var due []hop
	for _, e := range m.entries {
		wait := retry
		if e.MAC != [6]byte{} && e.State != "failed" {
			wait = refresh
		}
		if e.NextHop.IsValid() && now.Sub(e.named) >= wait-settle {
			e.named = now
			due = append(due, hop{m.links[e.Port], e.NextHop})
		}
	}
	m.mu.Unlock()
	for _, h := range due {
		family := netlink.FAMILY_V4
		if h.addr.Is6() {
			family = netlink.FAMILY_V6
		}
		// It fails while the interface has no carrier; the next round is a second away.
		_ = m.handle.NeighSet(&netlink.Neigh{LinkIndex: h.link, Family: family, IP: h.addr.AsSlice(), Flags: netlink.NTF_USE})
	}
}

// usable are the states in which the kernel would send.
const usable = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE | netlink.NUD_PERMANENT | netlink.NUD_NOARP

func stateName(state int) string {
	switch state {
	case netlink.NUD_INCOMPLETE:
		return "incomplete"
	case netlink.NUD_REACHABLE:
		return "reachable"
	case netlink.NUD_STALE:
		return "stale"
	case netlink.NUD_DELAY:
		return "delay"
	case netlink.NUD_PROBE:
		return "probe"
	case netlink.NUD_FAILED:
		return "failed"
	case netlink.NUD_PERMANENT:
		return "permanent"
	case netlink.NUD_NOARP:
		return "noarp"
	}
	return "none"
}
