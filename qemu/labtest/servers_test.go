package labtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"weir/qemu/netns"
	"weir/qemu/topology"
)

// health is what the nodes think of a server.
func health(id string) (string, error) {
	out, err := weirctl("status", "-o", "json")
	if err != nil {
		return "", err
	}
	var status struct {
		Servers []struct{ ID, Health string }
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return "", fmt.Errorf("understand %s: %w", out, err)
	}
	for _, s := range status.Servers {
		if s.ID == id {
			return s.Health, nil
		}
	}
	return "", fmt.Errorf("%s is not in the status", id)
}

// becomes waits until the nodes think of servers as wanted.
func becomes(t *testing.T, patience time.Duration, want string, servers ...topology.Server) {
	t.Helper()
	for _, s := range servers {
		eventually(t, patience, func() error {
			got, err := health(s.ID)
			if err == nil && got != want {
				err = fmt.Errorf("%s is %s, not %s", s.ID, got, want)
			}
			return err
		})
	}
}

// named opens connections to servers that say their id first and echo then,
// until n of them are at the given server.
func named(t *testing.T, id string, n int) []net.Conn {
	t.Helper()
	everyServerListens(t, func(id string, conn net.Conn) {
		fmt.Fprintf(conn, "%-8s", id)
		io.Copy(conn, conn)
	})
	var found []net.Conn
	for i := 0; len(found) < n; i++ {
		if i == 100*n {
			t.Fatalf("of %d connections %d are at %s", i, len(found), id)
		}
		conn := dial(t, []netip.AddrPort{test4(), test6()}[i%2])
		name := make([]byte, 8)
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(conn, name); err != nil {
			t.Fatal(err)
		}
		// Whoever is to be reset when it speaks must not speak by itself.
		if err := conn.(*net.TCPConn).SetKeepAlive(false); err != nil {
			t.Fatal(err)
		}
		if string(name) == fmt.Sprintf("%-8s", id) {
			found = append(found, conn)
		} else {
			conn.Close()
		}
	}
	return found
}

// S-58: the client learns at once, whenever it next speaks.
func TestWhoSpeaksToADeadServerIsReset(t *testing.T) {
	const limit = 100 * time.Millisecond
	dead := theLab.Top.Servers[3]
	conns := named(t, dead.ID, 4)
	if err := theLab.UnplugServer(dead); err != nil {
		t.Fatal(err)
	}
	died := time.Now()
	t.Cleanup(func() {
		if err := theLab.PlugServer(dead); err != nil {
			t.Error(err)
		}
		becomes(t, 30*time.Second, "healthy", dead)
	})
	for i, conn := range conns {
		after := []time.Duration{5 * time.Second, time.Minute}[i/2]
		<-time.After(time.Until(died.Add(after)))
		spoke := time.Now()
		conn.SetDeadline(spoke.Add(5 * time.Second))
		_, err := conn.Write([]byte("are you there?"))
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
		}
		took := time.Since(spoke)
		t.Logf("%v: %v after the death: %v after %v", conn.RemoteAddr(), after, err, took.Round(time.Microsecond))
		if !errors.Is(err, syscall.ECONNRESET) || took > limit {
			t.Errorf("%v, %v after the death: %v after %v, want a reset within %v", conn.RemoteAddr(), after, err, took, limit)
		}
	}
}

// Servers whose modules do not answer pings get no offers, unless they are all
// that an endpoint has and its policy says so. They keep what they have.
func TestAnEndpointWithoutHealthyServersFollowsItsPolicy(t *testing.T) {
	servers := theLab.Top.Servers
	conns := connections(t, 20)
	ctx := within(t, 2*time.Minute)
	for _, s := range servers {
		t.Cleanup(func() { netns.Output(ctx, s.Namespace, "nft", "delete", "table", "inet", "deaf") })
		for _, rule := range []string{"add table inet deaf", "add chain inet deaf in { type filter hook input priority 0; }", "add rule inet deaf in tcp dport 6091 drop"} {
			if _, err := netns.Output(ctx, s.Namespace, "nft", rule); err != nil {
				t.Fatal(err)
			}
		}
	}
	becomes(t, 20*time.Second, "unhealthy", servers...)
	for _, target := range []netip.AddrPort{web4(), web6()} { // policy: reset
		// As soon as the last node has heard what the first one told.
		eventually(t, 5*time.Second, func() error {
			conn, err := netns.Dialer(topology.ClientName, net.Dialer{Timeout: time.Second})(ctx, "tcp", target.String())
			if err == nil {
				conn.SetDeadline(time.Now().Add(time.Second))
				_, err = conn.Read(make([]byte, 1))
				conn.Close()
			}
			if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ECONNRESET) {
				return fmt.Errorf("%v without a healthy server: %v, want a reset", target, err)
			}
			return nil
		})
	}
	for _, target := range []netip.AddrPort{test4(), test6()} { // policy: try_all
		conn := dial(t, target)
		if err := echo(conn, "anybody?"); err != nil {
			t.Errorf("%v without a healthy server: %v", target, err)
		}
	}
	for _, conn := range conns {
		if err := echo(conn, "still there?"); err != nil {
			t.Errorf("an old connection: %v", err)
		}
	}
	for _, s := range servers {
		if _, err := netns.Output(ctx, s.Namespace, "nft", "delete", "table", "inet", "deaf"); err != nil {
			t.Fatal(err)
		}
	}
	becomes(t, 20*time.Second, "healthy", servers...)
	eventually(t, 20*time.Second, allServed)
}

// Longer than the lease: what keeps the connections is that they are published.
func TestADrainedServerKeepsItsOldConnectionsAndGetsNoNewOnes(t *testing.T) {
	const longerThanTheLease = 12 * time.Second
	s := theLab.Top.Servers[1]
	h := hold(t, 3*time.Second)
	t.Cleanup(func() { theLab.Weirctl("server", "undrain", s.ID) })
	var before offers
	h.Dwell = longerThanTheLease
	h.step("drain of "+s.ID, func() error {
		if err := theLab.Weirctl("server", "drain", s.ID); err != nil {
			return err
		}
		before = offersOf(t, s)
		return nil
	})
	if got := offersOf(t, s); got.accepted != before.accepted {
		t.Errorf("%s accepted %d connections while it was drained", s.ID, got.accepted-before.accepted)
	}
	h.Dwell = 3 * time.Second
	h.step("undrain of "+s.ID, func() error { return theLab.Weirctl("server", "undrain", s.ID) })
}
