package labtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"weir/qemu/netns"
	"weir/qemu/topology"
	"weir/qemu/traffic"
)

// publishingInterval is the default (S-40).
const publishingInterval = time.Second

// kept is an HTTP connection to nginx that stays open.
type kept struct {
	net.Conn
	r *bufio.Reader
}

// keep opens n of them and uses each once.
func keep(t *testing.T, n int) []kept {
	t.Helper()
	var conns []kept
	for i := range n {
		conn, err := netns.Dialer(topology.ClientName, net.Dialer{Timeout: 10 * time.Second})(within(t, time.Minute), "tcp", []netip.AddrPort{web4(), web6()}[i%2].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		k := kept{conn, bufio.NewReader(conn)}
		if err := k.get(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, k)
	}
	return conns
}

// get asks for a small file and waits for all of it.
func (k kept) get(patience time.Duration) error {
	k.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(k, "GET /1k HTTP/1.1\r\nHost: weir\r\n\r\n"); err != nil {
		return fmt.Errorf("ask on %v: %w", k.LocalAddr(), err)
	}
	resp, err := http.ReadResponse(k.r, nil)
	if err != nil {
		return fmt.Errorf("wait for an answer on %v: %w", k.LocalAddr(), err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || len(body) != 1024 {
		return fmt.Errorf("answer on %v: %d bytes, %w", k.LocalAddr(), len(body), err)
	}
	return nil
}

// With no node left no state is left either: the modules publish it anew.
func TestAfterARestartOfAllNodesConnectionsAreBackWithinTwoPublishingIntervals(t *testing.T) {
	eventually(t, 30*time.Second, allWell)
	conns := keep(t, 100)
	routes, err := theLab.WatchRoutes()
	if err != nil {
		t.Fatal(err)
	}
	defer routes.Close()
	nodes := theLab.Top.Nodes
	if err := theLab.Kill(ids(nodes)...); err != nil {
		t.Fatal(err)
	}
	ctx := within(t, time.Minute)
	for _, n := range nodes {
		if _, err := routes.Withdrawn(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := theLab.Restart(ids(nodes)...); err != nil {
		t.Fatal(err)
	}
	first := time.Time{}
	for _, n := range nodes {
		at, err := routes.Announced(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	<-time.After(time.Until(first.Add(2 * publishingInterval)))
	// Nobody spoke since the state was lost: what the trackers know, they were told.
	const atOnce = 500 * time.Millisecond
	for _, k := range conns {
		if err := k.get(atOnce); err != nil {
			t.Errorf("%v after the first node was back: %v", time.Since(first).Round(time.Millisecond), err)
		}
	}
	eventually(t, 30*time.Second, allWell)
}

func TestARestartOfAllNodesUnderLoadLosesNoConnection(t *testing.T) {
	h := hold(t, 3*time.Second)
	h.Slow = true
	h.step("kill -9 and start of all nodes", func() error {
		if err := theLab.Kill(ids(theLab.Top.Nodes)...); err != nil {
			return err
		}
		return theLab.Restart(ids(theLab.Top.Nodes)...)
	}, h.Whole())
}

// Every program is ended politely and started again, the next one when all is
// well again, as an upgrade would.
func TestARollingRestartOfEverythingFailsNoRequest(t *testing.T) {
	eventually(t, 30*time.Second, allWell)
	ctx, stop := context.WithCancel(within(t, 5*time.Minute))
	type result struct {
		requests int
		errors   []string
	}
	end := make(chan result)
	go func() {
		// One run after the other, as nobody knows how long the restarts take.
		var sum result
		for ctx.Err() == nil {
			got, err := client().RunWrk(context.Background(), "http://"+web4().String()+"/1k", 50, 5)
			sum.requests += got.Requests
			if err != nil {
				got.Errors = err.Error()
			}
			if got.Errors != "" {
				sum.errors = append(sum.errors, got.Errors)
			}
		}
		end <- sum
	}()
	restart := func(machine string, names ...string) {
		t.Helper()
		for _, name := range names {
			if err := theLab.Stop(machine, name, syscall.SIGTERM); err != nil {
				t.Error(err)
				return
			}
			if err := theLab.Start(machine, name); err != nil {
				t.Error(err)
				return
			}
			eventually(t, 30*time.Second, allWell)
		}
	}
	for _, n := range theLab.Top.Nodes {
		restart(n.ID, "noded", "dataplane")
	}
	for _, s := range theLab.Top.Servers {
		restart(s.ID, "lbmodule")
	}
	stop()
	sum := <-end
	t.Logf("%d requests", sum.requests)
	for _, err := range sum.errors {
		t.Errorf("wrk: %s", err)
	}
	tally := traffic.Client{Namespace: topology.ClientName, Timeout: 5 * time.Second}.Requests(within(t, time.Minute), []netip.AddrPort{web4(), web6()}, 100, 4)
	for _, err := range tally.Lost {
		t.Error(err)
	}
}
