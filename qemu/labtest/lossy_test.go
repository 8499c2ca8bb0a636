package labtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/qemu/capture"
	"weir/qemu/impair"
	"weir/qemu/netns"
	"weir/qemu/topology"
)

// A client far away, behind a link that loses 1 % of all packets each way.
const (
	farName  = "weir-far"
	linkName = "weir-link"
)

var (
	farAddr    = netip.MustParsePrefix("192.0.2.10/24")
	farRouter  = netip.MustParsePrefix("192.0.2.1/24")
	directHere = netip.MustParsePrefix("192.0.3.2/24") // of srv1
	directBack = netip.MustParsePrefix("192.0.3.1/24") // of the router, towards srv1
)

var badLink = impair.Link{Delay: 5 * time.Millisecond, Rate: 40, Queue: 64 << 10, Loss: 0.01, Seed: 20260101}

// farClient builds the far client and a direct cable from the router to srv1,
// so that the same client reaches one server both ways.
func farClient(t *testing.T) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	srv1 := theLab.Top.Servers[0].Namespace
	remove := func() {
		// A namespace's interfaces vanish some time after it, so those that
		// have an end elsewhere go first.
		for _, device := range []string{"far0", "direct0"} {
			if err := netns.DeleteLink(topology.RouterName, device); err != nil {
				t.Error(err)
			}
		}
		for _, ns := range []string{farName, linkName} {
			if err := netns.Delete(ns); err != nil {
				t.Error(err)
			}
		}
	}
	remove()
	must(netns.Add(farName))
	must(netns.Add(linkName))
	t.Cleanup(remove)
	must(netns.Veth(farName, "eth0", linkName, "far", topology.MTU))
	must(netns.Veth(topology.RouterName, "far0", linkName, "near", topology.MTU))
	must(netns.Address(farName, "eth0", farAddr))
	must(netns.Address(topology.RouterName, "far0", farRouter))
	must(netns.DefaultRoute(farName, "eth0", farRouter.Addr()))
	must(netns.Veth(topology.RouterName, "direct0", srv1, "direct0", topology.MTU))
	must(netns.Address(topology.RouterName, "direct0", directBack))
	must(netns.Address(srv1, "direct0", directHere))
	must(netns.Route(srv1, "direct0", farAddr.Masked(), directBack.Addr()))
	relay, err := impair.Start(linkName, "far", "near", badLink)
	must(err)
	t.Cleanup(relay.Stop)
}

// farTransfer downloads the given number of bytes and returns Mbit/s.
func farTransfer(ctx context.Context, from netip.AddrPort, bytes int64) (float64, error) {
	far := &http.Client{Transport: &http.Transport{DialContext: netns.Dialer(farName, net.Dialer{}), DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+from.String()+"/100m", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=0-%d", bytes-1))
	started := time.Now()
	resp, err := far.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || n != bytes {
		return 0, fmt.Errorf("got %d bytes of %d from %v: %w", n, bytes, from, err)
	}
	return float64(n) * 8 / time.Since(started).Seconds() / 1e6, nil
}

// farUpload sends bytes to a server on port 7000 that counts them.
func farUpload(ctx context.Context, to netip.AddrPort, bytes int64) (float64, error) {
	conn, err := netns.Dialer(farName, net.Dialer{})(ctx, "tcp", to.String())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	started := time.Now()
	conn.SetDeadline(started.Add(time.Minute))
	if _, err := io.CopyN(conn, zeros{}, bytes); err != nil {
		return 0, fmt.Errorf("upload to %v: %w", to, err)
	}
	conn.(*net.TCPConn).CloseWrite()
	if _, err := io.ReadAll(conn); err != nil { // the server closes when it has everything
		return 0, fmt.Errorf("upload to %v: %w", to, err)
	}
	return float64(bytes) * 8 / time.Since(started).Seconds() / 1e6, nil
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// Window scale, SACK and timestamps must be worth through the nodes what they
// are worth without them: a transfer that loses packets is slow without any.
func TestATransferUnderLossIsAsFastAsADirectOne(t *testing.T) {
	farClient(t)
	everyServerListens(t, func(_ string, conn net.Conn) { io.Copy(io.Discard, conn) })
	ctx := within(t, 3*time.Minute)
	const size, rounds = 12 << 20, 2
	direct := directHere.Addr()
	mean := func(transfer func() (float64, error)) float64 {
		t.Helper()
		sum := 0.0
		for range rounds {
			rate, err := transfer()
			if err != nil {
				t.Fatal(err)
			}
			sum += rate
		}
		return sum / rounds
	}
	for _, way := range []struct {
		name           string
		transfer       func(context.Context, netip.AddrPort, int64) (float64, error)
		direct, public netip.AddrPort
	}{
		{"download", farTransfer, netip.AddrPortFrom(direct, 80), web4()},
		{"upload", farUpload, netip.AddrPortFrom(direct, 7000), test4()},
	} {
		straight := mean(func() (float64, error) { return way.transfer(ctx, way.direct, size) })
		balanced := mean(func() (float64, error) { return way.transfer(ctx, way.public, size) })
		t.Logf("%s: direct %.1f Mbit/s, through the nodes %.1f Mbit/s", way.name, straight, balanced)
		if balanced < 0.8*straight {
			t.Errorf("%s through the nodes reaches %.0f %% of a direct one, want 80 %%", way.name, 100*balanced/straight)
		}
	}
}

// The server's kernel must never be told that something arrived which it did
// not send: a wrong SACK block makes it retransmit the wrong data, or stall.
func TestEverySACKEdgeThatAServerSeesLiesInsideWhatItSent(t *testing.T) {
	farClient(t)
	dir := scratch(t)
	type pair struct{ kernel, fabric *capture.Capture }
	var captures []pair
	start := func(s topology.Server, device, filter string) *capture.Capture {
		t.Helper()
		c, err := capture.Start(s.Namespace, device, filter, filepath.Join(dir, s.ID+"-"+device+".pcap"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, s := range theLab.Top.Servers {
		captures = append(captures, pair{
			start(s, moduleDevice, "tcp"),
			start(s, "eth0", "udp dst port 6080 and src host "+s.Address.Addr().String()),
		})
	}
	if _, err := farTransfer(within(t, time.Minute), web4(), 8<<20); err != nil {
		t.Error(err)
	}
	blocks := 0
	for i, c := range captures {
		kernel, err := c.kernel.Stop()
		if err != nil {
			t.Fatal(err)
		}
		fabric, err := c.fabric.Stop()
		if err != nil {
			t.Fatal(err)
		}
		n, err := checkSACKs(kernel, fabric, web4())
		if err != nil {
			t.Errorf("%s: %v (see %s)", theLab.Top.Servers[i].ID, err, dir)
		}
		blocks += n
	}
	t.Logf("%d SACK blocks were seen", blocks)
	if blocks == 0 {
		t.Error("no SACK block was seen at all: the option is lost on the way")
	}
}

// moduleDevice is the module's own interface on every server: what the kernel
// sends and receives there is translated already.
const moduleDevice = "weir0"

// netstat reads one figure of /proc/net/netstat in a namespace.
func netstat(ns, group, name string) (int, error) {
	out, err := netns.Output(context.Background(), ns, "cat", "/proc/net/netstat")
	if err != nil {
		return 0, err
	}
	var names []string
	for _, line := range strings.Split(out, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != group+":" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, field := range names {
			if field == name {
				var n int
				_, err := fmt.Sscan(fields[i], &n)
				return n, err
			}
		}
	}
	return 0, fmt.Errorf("/proc/net/netstat of %s has no %s%s", ns, group, name)
}
