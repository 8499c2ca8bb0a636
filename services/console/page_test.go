package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/services/api"
	"weir/services/config"
	"weir/services/console/facts"
	"weir/services/console/report"
	"weir/services/console/terminal"
	"weir/services/console/vt100"
)

var update = flag.Bool("update", false, "write the golden files and the page in docs/console.md anew")

// goodFacts are those of a healthy node, at a fixed moment.
func goodFacts() *facts.Facts {
	at := time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC)
	f := &facts.Facts{At: at, Uptime: 751 * time.Second, Boot: goodBoot(), Services: goodServices(), Node: goodNode(), Dataplane: goodDataplane(),
		File:  &config.Node{Node: "lb1"},
		Links: []facts.Link{{Name: "eth0", MAC: "52:54:00:00:03:11", Up: true, RxPackets: 4410, TxPackets: 3902}},
	}
	earlier := goodDataplane()
	for _, p := range earlier.Ports {
		p.RxPackets, p.TxPackets = p.RxPackets-25000, p.TxPackets-23100
	}
	earlier.UptimeSeconds -= 2
	f.Before = &facts.Facts{At: at.Add(-2 * time.Second), Dataplane: earlier}
	return f
}

// scenes are the pages that have golden files.
var scenes = map[string]func(f *facts.Facts){
	"healthy": func(*facts.Facts) {},
	"no-nic": func(f *facts.Facts) {
		for _, p := range f.Boot.Phases {
			switch p.Name {
			case "nics":
				p.Result, p.Reason = "failed", "north: no NIC has the MAC address 52:54:00:00:01:11; this machine has 52:54:00:00:02:11 (0000:00:04.0, virtio_net) and 52:54:00:00:03:11 (0000:00:05.0, virtio_net)"
				p.Remedy = "correct dataplane.north.device in node.yaml, or connect the card"
			case "services":
				p.Result, p.Reason = "degraded", "dataplane is not started: the phase nics failed"
			}
		}
		f.Boot.Nics = f.Boot.Nics[1:]
		f.Services[1] = &api.Service{Name: "dataplane", State: "waiting", WaitsFor: "nics", SinceSeconds: 740}
		f.Dataplane, f.DataplaneErr, f.Before = nil, errors.New("dataplane is not running"), nil
		f.Node.Dataplane = nil
		f.Node.Bgp[0].State, f.Node.Bgp[0].Reason = "connecting", "the router is unreachable"
		f.Node.Bgp[1].State, f.Node.Bgp[1].Reason = "connecting", "the router is unreachable"
		f.Node.Nodes[0].Phase, f.Node.Milestones = "receive-only", nil
	},
	"booting": func(f *facts.Facts) {
		f.Uptime = 2100 * time.Millisecond
		for i, p := range f.Boot.Phases {
			if i == 6 {
				p.Result, p.TookSeconds = "running", 0
			} else if i > 6 {
				p.Result, p.StartedSeconds, p.TookSeconds = "pending", 0, 0
			}
		}
		f.Boot.Nics, f.Services = nil, f.Services[:1]
		f.Dataplane, f.DataplaneErr, f.Before = nil, errors.New("dataplane is not running"), nil
		f.Node, f.NodeErr = nil, errors.New("noded is not running")
	},
	"restarting": func(f *facts.Facts) {
		f.Services[1] = &api.Service{Name: "dataplane", State: "backing off", Restarts: 7, LastEnd: "signal: killed", NextStartSeconds: 16}
		f.Dataplane, f.DataplaneErr, f.Before = nil, errors.New("dataplane does not answer"), nil
		f.Errors = []facts.LoggedError{{Source: "init", Seconds: 700.2, Text: `"service ended" service=dataplane end="signal: killed" restart=16s`}}
		f.Boot.Crashes = []*api.CrashRecord{{Name: "dmesg-efi-173", Time: "2026-11-23T14:51:00Z", Text: "Kernel panic"}}
	},
	"silent": func(f *facts.Facts) {
		*f = facts.Facts{At: f.At, Uptime: f.Uptime, BootErr: errors.New("init does not answer"), FileErr: errors.New("open: no such file"),
			NodeErr: errors.New("noded is not running"), DataplaneErr: errors.New("dataplane does not answer")}
	},
}

// shown is the page on a terminal.
func screenOf(t *testing.T, page []terminal.Line) string {
	t.Helper()
	screen := vt100.New()
	if err := terminal.NewPainter(screen).Paint(page); err != nil {
		t.Fatal(err)
	}
	if u := screen.Unknown(); len(u) > 0 {
		t.Errorf("a VT100 does not know %q", u)
	}
	return screen.Text()
}

func TestPagesAreThoseOfTheGoldenFiles(t *testing.T) {
	for name, change := range scenes {
		f := goodFacts()
		change(f)
		got := screenOf(t, report.Page(f))
		file := filepath.Join("testdata", "page-"+name+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: the page is\n%s\nand not\n%s\n(-update writes it)", name, got, want)
		}
	}
}

// crowd is a large cluster in which everything is wrong that can be, in words
// that no terminal should get.
func crowd(r *rand.Rand) *facts.Facts {
	words := func(n int) string {
		var b strings.Builder
		for range r.IntN(n) {
			b.WriteString([]string{"no answer ", "\x1b[2J", "über", strings.Repeat("x", 90), "\n", "10.10.0.1 ", "\t"}[r.IntN(7)])
		}
		return b.String()
	}
	f := goodFacts()
	for _, p := range f.Boot.Phases {
		p.Result = []string{"pending", "running", "ok", "degraded", "failed", "skipped"}[r.IntN(6)]
		p.Reason, p.Remedy = words(20), words(10)
	}
	for i := range r.IntN(100) {
		f.Node.Nodes = append(f.Node.Nodes, &api.NodeView{Id: fmt.Sprint("node", i), Health: words(3), Phase: words(3)})
		f.Node.Bgp = append(f.Node.Bgp, &api.BgpSession{Advertises: words(2), Peer: words(2), State: "idle", Reason: words(9)})
		f.Node.Servers = append(f.Node.Servers, &api.ServerView{Id: fmt.Sprint("srv", i), Health: "unhealthy", CheckError: words(5)})
		f.Node.Alarms = append(f.Node.Alarms, words(30))
		f.Services = append(f.Services, &api.Service{Name: words(3), State: []string{"starting", "backing off", "stopped"}[r.IntN(3)], LastEnd: words(5)})
		f.Errors = append(f.Errors, facts.LoggedError{Source: "noded", Text: words(40)})
	}
	f.Boot.Version, f.Node.Id, f.Boot.ConfigSource, f.Boot.Identity.Vendor = words(5), words(6), words(9), words(9)
	return f
}

func TestNoPageIsLargerThanTheTerminal(t *testing.T) {
	for seed := range uint64(300) {
		f := crowd(rand.New(rand.NewPCG(seed, 1)))
		page := report.Page(f)
		if len(page) != terminal.Rows {
			t.Fatalf("seed %d: %d lines", seed, len(page))
		}
		text := screenOf(t, page)
		for _, want := range []string{"2026-11-23 15:04:05Z", "Type a command"} { // neither end was pushed out
			if !strings.Contains(text, want) {
				t.Fatalf("seed %d: no %q in\n%s", seed, want, text)
			}
		}
		for _, line := range strings.Split(text, "\n") {
			if len(line) > terminal.Columns-1 {
				t.Fatalf("seed %d: %d columns: %q", seed, len(line), line)
			}
		}
	}
}

func TestARefreshWritesOnlyWhatChanged(t *testing.T) {
	var out countedScreen
	out.Screen = vt100.New()
	p := terminal.NewPainter(&out)
	f := goodFacts()
	if err := p.Paint(report.Page(f)); err != nil {
		t.Fatal(err)
	}
	whole := out.bytes
	f.At, f.Uptime = f.At.Add(2*time.Second), f.Uptime+2*time.Second
	f.Dataplane.Flows.Established++
	out.bytes = 0
	if err := p.Paint(report.Page(f)); err != nil {
		t.Fatal(err)
	}
	t.Logf("a page takes %d bytes, a refresh %d", whole, out.bytes)
	if out.bytes > 100 || whole > terminal.Rows*terminal.Columns {
		t.Errorf("a page takes %d bytes, a refresh %d", whole, out.bytes)
	}
	if got := out.Text(); got != screenOf(t, report.Page(f)) {
		t.Errorf("after a refresh the screen shows\n%s", got)
	}
}

// TestRefreshesShowWhatAFreshPageWould goes from one crowd to the next.
func TestRefreshesShowWhatAFreshPageWould(t *testing.T) {
	screen := vt100.New()
	p := terminal.NewPainter(screen)
	for seed := range uint64(100) {
		page := report.Page(crowd(rand.New(rand.NewPCG(seed, 2))))
		if err := p.Paint(page); err != nil {
			t.Fatal(err)
		}
		if got, want := screen.Text(), screenOf(t, page); got != want {
			t.Fatalf("seed %d:\n%s\nand not\n%s", seed, got, want)
		}
	}
}

type countedScreen struct {
	*vt100.Screen
	bytes int
}

func (c *countedScreen) Write(b []byte) (int, error) { c.bytes += len(b); return c.Screen.Write(b) }
