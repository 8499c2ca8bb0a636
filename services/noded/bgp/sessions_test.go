package bgp

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weir/services/config"
)

// startManagers starts one manager per node of the cluster.
func startManagers(t *testing.T, c *config.Cluster) []*Manager {
	t.Helper()
	var all []*Manager
	for _, n := range c.Nodes {
		m := NewManager(slog.New(slog.NewTextHandler(t.Output(), nil)))
		m.Apply(Plan(c, nil, n.ID, false))
		t.Cleanup(m.Close)
		all = append(all, m)
	}
	return all
}

func applyAll(t *testing.T, c *config.Cluster, all []*Manager) {
	t.Helper()
	for i, n := range c.Nodes {
		all[i].Apply(Plan(c, nil, n.ID, false))
	}
}

// paths is how many paths the router knows to a prefix, by next hop.
func (r *frr) paths(prefix string) map[string]int {
	family := "ipv4"
	if strings.Contains(prefix, ":") {
		family = "ipv6"
	}
	var v struct {
		Paths []struct {
			Nexthops []struct {
				IP    string
				Scope string
			}
			Community struct{ String string }
		}
	}
	_ = json.Unmarshal([]byte(r.vtysh("show bgp "+family+" unicast "+prefix+" json")), &v)
	out := map[string]int{}
	for _, p := range v.Paths {
		for _, n := range p.Nexthops {
			if n.Scope != "link-local" {
				out[n.IP]++
			}
		}
	}
	return out
}

// hasPaths says what is wrong with the router's paths to a prefix.
func (r *frr) hasPaths(prefix string, want map[string]int) func() string {
	return func() string {
		if got := r.paths(prefix); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Sprintf("paths to %s: got %v, want %v\n%s", prefix, got, want, r.vtysh("show bgp summary"))
		}
		return ""
	}
}

// withoutLosing is a check during which no node but lb2 may lose its last announcer (S-62).
func (r *frr) withoutLosing(check func() string) func() string {
	return func() string {
		got := r.paths(vip4)
		for _, node := range []string{"10.10.0.11", "10.10.0.13"} {
			if got[node] == 0 {
				r.t.Fatalf("nobody announces %s: %v", node, got)
			}
		}
		return check()
	}
}

func (r *frr) hasRoute(prefix string, vias ...string) func() string {
	return func() string {
		got := r.kernelRoute(prefix)
		for _, via := range vias {
			if !strings.Contains(got, "via "+via+" ") {
				return fmt.Sprintf("route to %s lacks %s: %s", prefix, via, got)
			}
		}
		if n := strings.Count(got, "via "); n != len(vias) {
			return fmt.Sprintf("route to %s has %d next hops, want %d: %s", prefix, n, len(vias), got)
		}
		return ""
	}
}

const (
	vip4 = "203.0.113.10/32"
	vip6 = "2001:db8:100::10/128"
)

var (
	two4 = map[string]int{"10.10.0.11": 2, "10.10.0.12": 2, "10.10.0.13": 2}
	two6 = map[string]int{"2001:db8:10::11": 2, "2001:db8:10::12": 2, "2001:db8:10::13": 2}
)

func insecure(c *config.Cluster) *config.Cluster {
	c.Routers[0].Password, c.Routers[0].TTLSecurity = "", false
	return c
}

func TestThreeNodesAreAnnouncedTwiceEachAndTheKernelSpreadsOverThem(t *testing.T) {
	r := startFRR(t, "secret", true)
	c := exampleCluster(t)
	c.Routers[0].Password = "secret"
	all := startManagers(t, c)
	r.eventually(15*time.Second, "two paths per node, IPv4", r.hasPaths(vip4, two4))
	r.eventually(5*time.Second, "two paths per node, IPv6", r.hasPaths(vip6, two6))
	r.eventually(5*time.Second, "kernel route, IPv4", r.hasRoute("203.0.113.10", "10.10.0.11", "10.10.0.12", "10.10.0.13"))
	r.eventually(5*time.Second, "kernel route, IPv6", r.hasRoute("2001:db8:100::10", "2001:db8:10::11", "2001:db8:10::12", "2001:db8:10::13"))
	if out := r.vtysh("show bgp ipv4 unicast " + vip4); !strings.Contains(out, "65001:100") {
		t.Errorf("the community is not announced:\n%s", out)
	}
	for i, m := range all {
		for _, s := range m.Sessions() {
			if s.State != StateEstablished || s.Prefixes != 2 || s.Losses != 0 || s.Reason != "" {
				t.Errorf("node %d: %+v", i+1, s)
			}
		}
	}

	t.Run("losing one announcer leaves the next hops", func(t *testing.T) {
		all[0].Close()
		r.eventually(3*time.Second, "one path fewer to two nodes", r.hasPaths(vip4, map[string]int{"10.10.0.11": 2, "10.10.0.12": 1, "10.10.0.13": 1}))
		if wrong := r.hasRoute("203.0.113.10", "10.10.0.11", "10.10.0.12", "10.10.0.13")(); wrong != "" {
			t.Error(wrong)
		}
		all[0].Apply(Plan(c, nil, "lb1", false))
		r.eventually(15*time.Second, "sessions are back", r.hasPaths(vip4, two4))
	})

	t.Run("an unhealthy node is withdrawn at once and its neighbours announce each other and themselves", func(t *testing.T) {
		c.Nodes[1].Healthy = false
		start := time.Now()
		applyAll(t, c, all)
		r.eventually(3*time.Second, "route without lb2", func() string {
			if got := r.kernelRoute("203.0.113.10"); strings.Contains(got, "10.10.0.12") {
				return got
			}
			return ""
		})
		t.Logf("withdrawn after %v", time.Since(start))
		r.eventually(15*time.Second, "two announcers for the others", r.withoutLosing(r.hasPaths(vip4, map[string]int{"10.10.0.11": 2, "10.10.0.13": 2})))
		t.Logf("two announcers after %v", time.Since(start))
		c.Nodes[1].Healthy = true
		applyAll(t, c, all)
		r.eventually(15*time.Second, "lb2 is back", r.withoutLosing(r.hasPaths(vip4, two4)))
	})
}

func TestSessionsThatCloseAndOpenAtOnceAreNotLostInTheRouter(t *testing.T) {
	r := startFRR(t, "", false)
	c := insecure(exampleCluster(t))
	all := startManagers(t, c)
	r.eventually(15*time.Second, "two paths per node", r.hasPaths(vip4, two4))
	for i := range 60 {
		c.Nodes[i%3].Healthy = !c.Nodes[i%3].Healthy
		applyAll(t, c, all)
		// Different moments in the life of a session, none of them awaited.
		time.Sleep(time.Duration(i%8) * time.Millisecond)
	}
	for i := range c.Nodes {
		c.Nodes[i].Healthy = true
	}
	applyAll(t, c, all)
	r.eventually(8*time.Second, "two paths per node after many changes", r.hasPaths(vip4, two4))
}

func TestReloadAddsAndRemovesAnAddressWithoutTouchingSessions(t *testing.T) {
	r := startFRR(t, "", false)
	c := insecure(exampleCluster(t))
	all := startManagers(t, c)
	r.eventually(15*time.Second, "two paths per node", r.hasPaths(vip4, two4))
	before := all[0].Sessions()

	c.Endpoints[0].Addresses = append(c.Endpoints[0].Addresses, netip.MustParseAddr("203.0.113.99"))
	c.BGP.Communities = []config.Community{65001<<16 | 200}
	applyAll(t, c, all)
	r.eventually(5*time.Second, "the new address", r.hasPaths("203.0.113.99/32", two4))
	r.eventually(5*time.Second, "the new community", func() string {
		if out := r.vtysh("show bgp ipv4 unicast " + vip4); strings.Count(out, "65001:200") != 6 || strings.Contains(out, "65001:100") {
			return out
		}
		return ""
	})
	c.Endpoints[0].Addresses = c.Endpoints[0].Addresses[:2]
	applyAll(t, c, all)
	r.eventually(5*time.Second, "the address is gone", r.hasPaths("203.0.113.99/32", map[string]int{}))

	for i, s := range all[0].Sessions() {
		if s.Since != before[i].Since || s.State != StateEstablished || s.Losses != 0 {
			t.Errorf("the session changed: %+v, before %+v", s, before[i])
		}
	}
}

func TestALostSessionComesBackByItself(t *testing.T) {
	r := startFRR(t, "", false)
	c := insecure(exampleCluster(t))
	all := startManagers(t, c)
	r.eventually(15*time.Second, "two paths per node", r.hasPaths(vip4, two4))
	start := time.Now()
	r.vtysh("clear bgp *")
	r.eventually(10*time.Second, "every session is lost once and established again", func() string {
		for _, m := range all {
			for _, s := range m.Sessions() {
				if s.Losses != 1 || s.State != StateEstablished {
					return fmt.Sprintf("%+v", s)
				}
			}
		}
		return ""
	})
	r.eventually(3*time.Second, "two paths per node again", r.hasPaths(vip4, two4))
	t.Logf("back after %v", time.Since(start))
}

func TestAWrongPasswordIsReported(t *testing.T) {
	r := startFRR(t, "secret", false)
	c := exampleCluster(t)
	c.Routers[0].Password, c.Routers[0].TTLSecurity = "guess", false
	all := startManagers(t, c)
	r.eventually(15*time.Second, "the reason", func() string {
		for _, s := range all[0].Sessions() {
			if s.State == StateEstablished || !strings.Contains(s.Reason, "MD5 password") {
				return fmt.Sprintf("%+v", s)
			}
		}
		return ""
	})
	t.Run("and the right one then opens the session", func(t *testing.T) {
		c.Routers[0].Password = "secret"
		applyAll(t, c, all)
		r.eventually(15*time.Second, "two paths per node", r.hasPaths(vip4, two4))
	})
}

func TestAMissingSourceAddressIsReported(t *testing.T) {
	r := startFRR(t, "", false)
	if out, err := exec.Command("ip", "address", "del", "10.10.0.102/24", "dev", "north").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := insecure(exampleCluster(t))
	all := startManagers(t, c)
	r.eventually(15*time.Second, "the reason", func() string {
		if s := all[0].Sessions()[0]; s.Reason != "source address 10.10.0.102 is not on this node" {
			return fmt.Sprintf("%+v", s)
		}
		return ""
	})
}
