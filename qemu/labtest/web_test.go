package labtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/qemu/lab"
	"weir/qemu/netns"
	"weir/qemu/topology"
)

func curl(ctx context.Context, args ...string) (string, error) {
	return netns.Output(ctx, topology.ClientName, append([]string{"curl", "--silent", "--show-error", "--globoff", "--max-time", "30"}, args...)...)
}

func TestAThousandRequestsAllSucceedAndEveryServerAnswersSome(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	type result struct {
		body string
		err  error
	}
	results := make(chan result)
	work := make(chan netip.AddrPort)
	for range 8 {
		go func() {
			for target := range work {
				body, err := curl(ctx, "http://"+target.String()+"/")
				results <- result{body, err}
			}
		}()
	}
	go func() {
		for i := range 1000 {
			work <- []netip.AddrPort{web4(), web6()}[i%2]
		}
		close(work)
	}()
	answered := map[string]int{}
	for range 1000 {
		r := <-results
		if r.err != nil {
			t.Error(r.err)
			continue
		}
		answered[r.body]++
	}
	for _, s := range theLab.Top.Servers {
		if answered[s.ID] == 0 {
			t.Errorf("%s answered none of the requests: %v", s.ID, answered)
		}
		delete(answered, s.ID)
	}
	if len(answered) > 0 {
		t.Errorf("answers that no server gives: %v", answered)
	}
}

func TestServersSeeTheClientsRealAddressAndPort(t *testing.T) {
	for i, target := range []netip.AddrPort{web4(), web6()} {
		port := 21000 + i + int(time.Now().UnixNano()%1000)*10
		server, err := curl(within(t, time.Minute), "--local-port", fmt.Sprint(port), "http://"+target.String()+"/?real")
		if err != nil {
			t.Fatal(err)
		}
		addr := theLab.Top.Client.V4.Addr()
		if target.Addr().Is6() {
			addr = theLab.Top.Client.V6.Addr()
		}
		want := fmt.Sprintf("%v:%d \"GET /?real ", addr, port)
		eventually(t, 5*time.Second, func() error {
			text, err := os.ReadFile(filepath.Join(theLab.Dir, server, "access.log"))
			if err == nil && !strings.Contains(string(text), want) {
				err = fmt.Errorf("the log of %s has no %q", server, want)
			}
			return err
		})
	}
}

func TestALargeFileArrivesWhole(t *testing.T) {
	want := lab.Digest("100m")
	for _, target := range []netip.AddrPort{web4(), web6()} {
		got, err := client().Download(within(t, 2*time.Minute), target, "/100m")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v: %.0f Mbit/s", target, got.Rate())
		if got.SHA256 != want {
			t.Errorf("%v: %d bytes with digest %s, want %s", target, got.Bytes, got.SHA256, want)
		}
	}
}

func TestTwoHundredBusyConnectionsSeeNoError(t *testing.T) {
	for _, target := range []netip.AddrPort{web4(), web6()} {
		got, err := client().RunWrk(within(t, time.Minute), "http://"+target.String()+"/1k", 200, 10)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v: %.0f requests per second", target, got.Rate)
		if got.Errors != "" {
			t.Errorf("%v: %s", target, got.Errors)
		}
	}
}

// iperf3 opens two connections to one server. Only srv1 listens: the modules
// of the others learn that by the RST of their kernels and reject (S-27).
func TestIperfWorks(t *testing.T) {
	ctx := within(t, time.Minute)
	server := exec.CommandContext(ctx, "iperf3", "--server", "--port", "7000", "--one-off")
	if err := netns.Start(theLab.Top.Servers[0].Namespace, server); err != nil {
		t.Fatal(err)
	}
	defer server.Wait()
	defer server.Process.Kill()
	eventually(t, 5*time.Second, func() error {
		_, err := netns.Output(ctx, theLab.Top.Servers[0].Namespace, "sh", "-c", "ss -Hltn sport = :7000 | grep -q LISTEN")
		return err
	})
	out, err := netns.Output(ctx, topology.ClientName, "iperf3", "--client", test4().Addr().String(), "--port", "7000", "--time", "3", "--format", "m")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(out, "iperf Done.") {
		t.Errorf("iperf3 did not finish:\n%s", out)
	}
}

func TestAServerMaySpeakFirst(t *testing.T) {
	everyServerListens(t, func(id string, conn net.Conn) {
		fmt.Fprintf(conn, "220 %s\r\n", id)
		line := make([]byte, 64)
		n, _ := conn.Read(line)
		conn.Write(bytes.ToUpper(line[:n]))
	})
	for i := range 40 {
		target := []netip.AddrPort{test4(), test6()}[i%2]
		conn := dial(t, target)
		greeting := make([]byte, 64)
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		n, err := conn.Read(greeting)
		if err != nil || !strings.HasPrefix(string(greeting[:n]), "220 srv") {
			t.Fatalf("connection %d to %v: greeting %q, %v", i, target, greeting[:n], err)
		}
		if _, err := conn.Write([]byte("quit")); err != nil {
			t.Fatal(err)
		}
		n, err = conn.Read(greeting)
		if err != nil || string(greeting[:n]) != "QUIT" {
			t.Fatalf("connection %d to %v: answer %q, %v", i, target, greeting[:n], err)
		}
		conn.Close()
	}
}

func TestAClosedPortIsResetAtOnce(t *testing.T) {
	for _, target := range []netip.AddrPort{web4(), web6()} {
		closed := netip.AddrPortFrom(target.Addr(), 81)
		started := time.Now()
		conn, err := netns.Dialer(topology.ClientName, net.Dialer{Timeout: 5 * time.Second})(within(t, time.Minute), "tcp", closed.String())
		took := time.Since(started)
		if err == nil {
			conn.Close()
			t.Fatalf("%v accepts a connection", closed)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v: %v, want connection refused", closed, err)
		}
		if took > 500*time.Millisecond {
			t.Errorf("%v: refused only after %v", closed, took)
		}
	}
}

func TestAPortOnWhichNoServerListensIsReset(t *testing.T) {
	for _, target := range []netip.AddrPort{test4(), test6()} {
		// The client's handshake is answered before a server is known (S-13),
		// so the refusal arrives as a reset of an open connection.
		conn, err := netns.Dialer(topology.ClientName, net.Dialer{Timeout: 5 * time.Second})(within(t, time.Minute), "tcp", target.String())
		if err == nil {
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%v: %v, want a reset", target, err)
		}
	}
}
