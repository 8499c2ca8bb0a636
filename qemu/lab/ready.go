package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"weir/qemu/netns"
	"weir/qemu/topology"
)

// waitReady waits until the whole path works, naming the step that it waits for.
func (l *Lab) waitReady(ctx context.Context, programs []*running) error {
	steps := []struct {
		what  string
		check func() error
	}{
		{"every server answers on its own address", l.serversAnswer},
	}
	if !l.Plain {
		steps = append(steps, []struct {
			what  string
			check func() error
		}{
			{"every BGP session is established", l.sessionsUp},
			{"the router has every node as next hop, IPv4 and IPv6", l.routesInstalled},
			{"the client gets an answer through the nodes, IPv4 and IPv6", l.clientServed},
		}...)
	}
	for _, step := range steps {
		if err := waitFor(ctx, l.kind.patience(), programs, step.check); err != nil {
			return fmt.Errorf("waited for: %s: %w (logs: %s)", step.what, err, l.Dir)
		}
		l.say("%s", step.what)
	}
	return nil
}

func waitFor(ctx context.Context, patience time.Duration, programs []*running, check func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return nil
		}
		for _, p := range programs {
			if dead := p.alive(); dead != nil {
				return dead
			}
		}
		if time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return interrupted(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (l *Lab) serversAnswer() error {
	for _, s := range l.Top.Servers {
		got, err := Fetch(s.Namespace, netip.AddrPortFrom(s.Address.Addr(), 80), "/", time.Second)
		if err != nil {
			return err
		}
		if string(got) != s.ID {
			return fmt.Errorf("%s answers %q", s.ID, got)
		}
	}
	return nil
}

func (l *Lab) clientServed() error {
	web := l.Top.VIPs[0]
	for _, addr := range []netip.Addr{web.Address, web.Address6} {
		got, err := Fetch(topology.ClientName, netip.AddrPortFrom(addr, web.Port), "/", time.Second)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(string(got), "srv") {
			return fmt.Errorf("%v answers %q", addr, got)
		}
	}
	return nil
}

// Fetch gets a path over HTTP from inside a namespace.
func Fetch(ns string, addr netip.AddrPort, path string, timeout time.Duration) ([]byte, error) {
	client := &http.Client{
		Timeout:   timeout,
		Transport: &http.Transport{DialContext: netns.Dialer(ns, net.Dialer{}), DisableKeepAlives: true},
	}
	resp, err := client.Get("http://" + addr.String() + path)
	if err != nil {
		return nil, fmt.Errorf("fetch from %s: %w", ns, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("fetch http://%v%s from %s: %w", addr, path, ns, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch http://%v%s from %s: %s", addr, path, ns, resp.Status)
	}
	return body, nil
}

// Vtysh runs one command on the router and returns its output.
func Vtysh(command string) (string, error) {
	out, err := exec.Command("vtysh", "-N", topology.RouterName, "-c", command).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ask the router for %q: %w: %s", command, err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// Announcers is how many sessions announce each node, S-60: two neighbours,
// and with fewer than three nodes itself and each other.
func (l *Lab) Announcers() int { return min(2, len(l.Top.Nodes)) }

// Session is a BGP session as the router sees it.
type Session struct {
	Peer  netip.Addr
	State string // "Established"
}

// Sessions lists the router's BGP sessions.
func Sessions() ([]Session, error) {
	out, err := Vtysh("show bgp ipv4 unicast summary json")
	if err != nil {
		return nil, err
	}
	var summary struct {
		Peers map[string]struct {
			State string `json:"state"`
		} `json:"peers"`
	}
	if err := json.Unmarshal([]byte(out), &summary); err != nil {
		return nil, fmt.Errorf("understand the router's summary: %w", err)
	}
	var sessions []Session
	for peer, p := range summary.Peers {
		addr, err := netip.ParseAddr(peer)
		if err != nil {
			return nil, fmt.Errorf("understand the router's summary: %w", err)
		}
		sessions = append(sessions, Session{Peer: addr, State: p.State})
	}
	return sessions, nil
}

func (l *Lab) sessionsUp() error {
	sessions, err := Sessions()
	if err != nil {
		return err
	}
	up := 0
	for _, s := range sessions {
		if s.State == "Established" {
			up++
		}
	}
	if want := l.Announcers() * len(l.Top.Nodes); up < want {
		return fmt.Errorf("%d of %d sessions are up", up, want)
	}
	return nil
}

func (l *Lab) routesInstalled() error {
	for _, v := range l.Top.VIPs {
		for _, addr := range []netip.Addr{v.Address, v.Address6} {
			hops, err := NextHops(addr)
			if err != nil {
				return err
			}
			if len(hops) != len(l.Top.Nodes) {
				return fmt.Errorf("the route to %v has %d next hops of %d", addr, len(hops), len(l.Top.Nodes))
			}
		}
	}
	return nil
}

// NextHops lists the gateways of the router's kernel route to a public address.
func NextHops(vip netip.Addr) ([]netip.Addr, error) {
	family := "-4"
	if vip.Is6() {
		family = "-6"
	}
	out, err := exec.Command("ip", "-n", topology.RouterName, "-j", family, "route", "show", vip.String()).Output()
	if err != nil {
		return nil, fmt.Errorf("read the router's route to %v: %w", vip, err)
	}
	type hop struct {
		Gateway string `json:"gateway"`
	}
	var routes []struct {
		hop
		NextHops []hop `json:"nexthops"`
	}
	if err := json.Unmarshal(out, &routes); err != nil {
		return nil, fmt.Errorf("understand the router's route to %v: %w", vip, err)
	}
	var hops []netip.Addr
	for _, r := range routes {
		for _, h := range append(r.NextHops, r.hop) {
			if addr, err := netip.ParseAddr(h.Gateway); err == nil {
				hops = append(hops, addr)
			}
		}
	}
	return hops, nil
}
