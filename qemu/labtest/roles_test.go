package labtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// trace is what weirctl says of a live connection.
type trace struct {
	Ingress   string `json:"ingress"`
	Primary   string `json:"primary"`
	Secondary string `json:"secondary"`
	Server    string `json:"server"`
	Egress    string `json:"egress"`
}

// weirctl runs the command-line tool on the lab.
func weirctl(args ...string) ([]byte, error) {
	out, err := exec.Command(filepath.Join(theLab.Bin, "weirctl"), append([]string{"--lab"}, args...)...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("weirctl %v: %w: %s", args, err, out)
	}
	return out, nil
}

func traceOf(conn net.Conn) (trace, error) {
	var t trace
	out, err := weirctl("trace", "--client", conn.LocalAddr().String(), "--vip", conn.RemoteAddr().String(), "-o", "json")
	if err == nil {
		err = json.Unmarshal(out, &t)
	}
	if err != nil {
		return t, fmt.Errorf("trace %v: %w", conn.LocalAddr(), err)
	}
	for _, role := range []string{t.Ingress, t.Primary, t.Secondary, t.Server, t.Egress} {
		if role == "" {
			return t, fmt.Errorf("the trace of %v lacks a role: %s", conn.LocalAddr(), out)
		}
	}
	return t, nil
}

// connections opens n connections to the test endpoint, over both families,
// and sends a byte to and fro on each.
func connections(t *testing.T, n int) []net.Conn {
	t.Helper()
	everyServerListens(t, func(_ string, conn net.Conn) { io.Copy(conn, conn) })
	var conns []net.Conn
	for i := range n {
		conn := dial(t, []netip.AddrPort{test4(), test6()}[i%2])
		if err := echo(conn, "?"); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns = append(conns, conn)
	}
	return conns
}

// echo sends text to an echo server and expects it back.
func echo(conn net.Conn, text string) error {
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write([]byte(text)); err != nil {
		return fmt.Errorf("send on %v: %w", conn.LocalAddr(), err)
	}
	back := make([]byte, len(text))
	if _, err := io.ReadFull(conn, back); err != nil {
		return fmt.Errorf("wait for the echo on %v: %w", conn.LocalAddr(), err)
	}
	if string(back) != text {
		return fmt.Errorf("the echo on %v is %q, not %q", conn.LocalAddr(), back, text)
	}
	return nil
}

func TestRolesOfAConnectionFallOnDifferentNodes(t *testing.T) {
	const flows = 64
	roles := map[string]map[string]int{"ingress": {}, "primary": {}, "secondary": {}, "egress": {}, "server": {}}
	var ingressPrimary, ingressSecondary, ingressNeither, egressElsewhere int
	for _, conn := range connections(t, flows) {
		tr, err := traceOf(conn)
		if err != nil {
			t.Fatal(err)
		}
		if tr.Primary == tr.Secondary {
			t.Errorf("%v has %s as both trackers (S-5)", conn.LocalAddr(), tr.Primary)
		}
		for role, id := range map[string]string{"ingress": tr.Ingress, "primary": tr.Primary, "secondary": tr.Secondary, "egress": tr.Egress, "server": tr.Server} {
			roles[role][id]++
		}
		switch tr.Ingress {
		case tr.Primary:
			ingressPrimary++
		case tr.Secondary:
			ingressSecondary++
		default:
			ingressNeither++
		}
		if tr.Egress != tr.Ingress {
			egressElsewhere++
		}
	}
	for role, by := range roles {
		t.Logf("%s: %v", role, by)
		if role == "server" {
			continue
		}
		for _, n := range theLab.Top.Nodes {
			if by[n.ID] == 0 {
				t.Errorf("%s is %s of none of %d flows", n.ID, role, flows)
			}
		}
	}
	for what, n := range map[string]int{"the ingress is primary": ingressPrimary, "the ingress is secondary": ingressSecondary,
		"the ingress is no tracker": ingressNeither, "the answers leave through another node": egressElsewhere} {
		if n == 0 {
			t.Errorf("in none of %d flows %s", flows, what)
		}
	}
}

// The table that users see must agree with what they asked for.
func TestStatusShowsEveryNodeServerAndSession(t *testing.T) {
	var status struct {
		Nodes []struct {
			ID, Health, Version string
			RingShare           float64 `json:"ring_share"`
		}
		Servers []struct {
			ID, Health  string
			Utilization float64
			Connections int
		}
		BGP []struct {
			Node, Advertises, Peer, State string
		}
		Flows map[string]uint64
		Drops map[string]uint64
	}
	const held = 20
	connections(t, held)
	eventually(t, 15*time.Second, func() error {
		out, err := weirctl("status", "-o", "json")
		if err != nil {
			return err
		}
		if err := json.Unmarshal(out, &status); err != nil {
			return fmt.Errorf("understand %s: %w", out, err)
		}
		share, open := 0.0, 0
		for _, n := range theLab.Top.Nodes {
			i := slices.IndexFunc(status.Nodes, func(s struct {
				ID, Health, Version string
				RingShare           float64 `json:"ring_share"`
			}) bool {
				return s.ID == n.ID
			})
			if i < 0 || status.Nodes[i].Health != "healthy" || status.Nodes[i].Version == "" {
				return fmt.Errorf("%s is not shown as healthy: %s", n.ID, out)
			}
			share += status.Nodes[i].RingShare
		}
		for _, s := range status.Servers {
			if s.Health != "healthy" {
				return fmt.Errorf("%s is %s", s.ID, s.Health)
			}
			open += s.Connections
		}
		established := 0
		for _, b := range status.BGP {
			if b.State == "established" {
				established++
			}
		}
		switch {
		case len(status.Servers) != len(theLab.Top.Servers):
			return fmt.Errorf("%d servers shown", len(status.Servers))
		case share < 0.99 || share > 1.01:
			return fmt.Errorf("the ring shares add up to %v", share)
		case established < theLab.Announcers()*len(theLab.Top.Nodes):
			return fmt.Errorf("%d established sessions shown", established)
		case open < held:
			return fmt.Errorf("%d connections shown of %d", open, held)
		case status.Flows["established"] == 0 || status.Flows["capacity"] == 0:
			return fmt.Errorf("flows are %v", status.Flows)
		case len(status.Drops) == 0:
			return fmt.Errorf("no drop reason is shown")
		}
		return nil
	})
}
