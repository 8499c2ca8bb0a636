package labtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/qemu/lab"
	"weir/qemu/netns"
	"weir/qemu/topology"
)

// load keeps a server's CPU at a share of its quota until the test ends.
func load(t *testing.T, s topology.Server, percent string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(theLab.Bin, "weir-lab"), "load", s.ID, percent)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Wait()
		})
	}
	t.Cleanup(func() {
		stop()
		eventually(t, 10*time.Second, func() error { return utilization(s, 0, 50) })
	})
}

// utilization checks that the module sees a load between two shares, in per
// cent.
func utilization(s topology.Server, from, to float64) error {
	status, err := theLab.ModuleStatus(context.Background(), s)
	if err != nil {
		return err
	}
	if u := status.Utilization * 100; u < from || u > to {
		return fmt.Errorf("the module of %s sees a load of %.0f %%, expected %.0f to %.0f", s.ID, u, from, to)
	}
	return nil
}

// offers counts what modules decided: accepted, and rejected for any reason.
type offers struct{ accepted, rejected uint64 }

func (o offers) total() uint64 { return o.accepted + o.rejected }

// rejects is the share of rejected offers since before, in per cent.
func (o offers) rejects(before offers) float64 {
	return 100 * float64(o.rejected-before.rejected) / float64(o.total()-before.total())
}

func offersOf(t *testing.T, s topology.Server) offers {
	t.Helper()
	status, err := theLab.ModuleStatus(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	var o offers
	for decision, n := range status.Offers {
		if decision == "accepted" {
			o.accepted += n
		} else {
			o.rejected += n
		}
	}
	return o
}

func TestALoadedServerRejectsHalfOfItsOffersAndNobodyNotices(t *testing.T) {
	loaded := theLab.Top.Servers[0]
	load(t, loaded, "95.5")
	eventually(t, 10*time.Second, func() error { return utilization(loaded, 93, 100) })
	before := map[string]offers{}
	for _, s := range theLab.Top.Servers {
		before[s.ID] = offersOf(t, s)
	}
	const wanted = 1000
	for offersOf(t, loaded).total()-before[loaded.ID].total() < wanted {
		tally := client().Requests(within(t, time.Minute), []netip.AddrPort{web4(), web6()}, 200, 4)
		for _, err := range tally.Lost {
			t.Error(err)
		}
		if t.Failed() {
			break
		}
	}
	for _, s := range theLab.Top.Servers {
		now := offersOf(t, s)
		share := now.rejects(before[s.ID])
		t.Logf("%s rejected %.1f %% of %d offers", s.ID, share, now.total()-before[s.ID].total())
		if s.ID == loaded.ID && (share < 40 || share > 60) {
			t.Errorf("%s at 95 %% of its quota rejected %.1f %% of its offers, want 40 to 60 %%", s.ID, share)
		}
		if s.ID != loaded.ID && share >= 5 {
			t.Errorf("idle %s rejected %.1f %% of its offers, want less than 5 %%", s.ID, share)
		}
	}
}

func TestWhenEveryServerRejectsTheOffersAreCountedAndTheClientIsReset(t *testing.T) {
	const offersPerConnection = 8 // as qemu/topology configures
	// However unsteady the load of a busy machine: all reject above one half.
	former := changed(t, "bgp: {asn:", "bgp: {asn:")
	if err := theLab.Weirctl("apply", "-f", changed(t, "bgp: {asn:", "admission: {thresholds: [{utilization: 50, reject: 100}]}\nbgp: {asn:")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := theLab.Weirctl("apply", "-f", former); err != nil {
			t.Error(err)
		}
		eventually(t, 10*time.Second, everybodyCurrent)
	})
	eventually(t, 10*time.Second, everybodyCurrent)
	for _, s := range theLab.Top.Servers {
		// A small quota is easily exhausted on all servers at once.
		if err := lab.SetQuota(s, lab.QuotaMicros/10); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := lab.SetQuota(s, lab.QuotaMicros); err != nil {
				t.Error(err)
			}
		})
		load(t, s, "150")
	}
	for _, s := range theLab.Top.Servers {
		eventually(t, 15*time.Second, func() error { return utilization(s, 98, 1e6) })
	}
	total := func() (sum offers) {
		for _, s := range theLab.Top.Servers {
			o := offersOf(t, s)
			sum.accepted += o.accepted
			sum.rejected += o.rejected
		}
		return sum
	}
	for _, target := range []netip.AddrPort{web4(), web6()} {
		before := total()
		conn, err := netns.Dialer(topology.ClientName, net.Dialer{Timeout: 5 * time.Second})(within(t, time.Minute), "tcp", target.String())
		if err == nil {
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%v: %v, want a reset", target, err)
		}
		after := total()
		if got := after.total() - before.total(); got != offersPerConnection || after.accepted != before.accepted {
			t.Errorf("%v: %d offers were made and %d accepted, want %d and none", target, got, after.accepted-before.accepted, offersPerConnection)
		}
	}
}
