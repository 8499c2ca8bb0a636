package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"text/tabwriter"
	"time"

	"weir/qemu/topology"
	"weir/qemu/traffic"
)

// Size of the story's traffic.
const (
	storyConcurrency = 50
	storyWrk         = 100
	storyWrkSeconds  = 10
)

// story is the rest of its size.
type story struct {
	requests  int // each with a connection of its own
	downloads int // of 100 MiB at a time, half of them IPv6
}

// Run is the main job, start to finish: it starts the lab, tells its story,
// and removes the lab. It fails if anything was lost.
func (l *Lab) Run(ctx context.Context, out io.Writer) (err error) {
	if err := l.Up(ctx); err != nil {
		return err
	}
	defer func() {
		l.say("removing the lab")
		err = errors.Join(err, l.Down())
	}()
	return l.Story(ctx, out)
}

// Story sends real client traffic through a running lab, prints which nodes and
// servers carried how much, and kills a node in the middle of transfers, which
// then comes back. It fails if anything was lost.
func (l *Lab) Story(ctx context.Context, out io.Writer) error {
	if err := l.PrintBoots(ctx, out, l.Top.Nodes...); err != nil {
		return err
	}
	lost, err := l.sendTraffic(ctx, out)
	if err != nil {
		return err
	}
	if err := l.printWork(ctx, out); err != nil {
		return err
	}
	if len(l.Top.Nodes) > 1 {
		failed, err := l.killInTheMiddle(ctx, out)
		if err != nil {
			return err
		}
		lost = append(lost, failed...)
	}
	if len(lost) > 0 {
		return fmt.Errorf("%d connections were lost; the first: %w", len(lost), lost[0])
	}
	fmt.Fprintln(out, "nothing was lost")
	return nil
}

// storyClient is the client of the story, and whom it calls.
func (l *Lab) storyClient() (traffic.Client, []netip.AddrPort) {
	web := l.Top.VIPs[0]
	return traffic.Client{Namespace: topology.ClientName, Timeout: time.Minute},
		[]netip.AddrPort{netip.AddrPortFrom(web.Address, web.Port), netip.AddrPortFrom(web.Address6, web.Port)}
}

// sendTraffic runs short requests, downloads and wrk one after the other, and
// returns what went wrong with connections.
func (l *Lab) sendTraffic(ctx context.Context, out io.Writer) (lost []error, err error) {
	client, targets := l.storyClient()
	size := l.kind.story()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TRAFFIC\tCONNECTIONS\tRESULT\tLOST")

	l.say("%d requests over IPv4 and IPv6, %d at a time", size.requests, storyConcurrency)
	started := time.Now()
	tally := client.Requests(ctx, targets, size.requests, storyConcurrency)
	lost = append(lost, tally.Lost...)
	fmt.Fprintf(w, "short requests\t%d\t%d answered, %.0f/s\t%d\n", size.requests, tally.Total(), float64(tally.Total())/time.Since(started).Seconds(), len(tally.Lost))

	l.say("%d downloads of 100 MiB over IPv4 and IPv6 at once", size.downloads)
	rate, failed := l.downloads(ctx, client, targets)
	lost = append(lost, failed...)
	fmt.Fprintf(w, "downloads\t%d\t%.0f Mbit/s, every digest right\t%d\n", size.downloads, rate, len(failed))

	l.say("wrk with %d connections for %d s", storyWrk, storyWrkSeconds)
	result, err := client.RunWrk(ctx, "http://"+targets[0].String()+"/1k", storyWrk, storyWrkSeconds)
	if err != nil {
		return nil, err
	}
	broken := 0
	if result.Errors != "" {
		broken = 1
		lost = append(lost, fmt.Errorf("wrk: %s", result.Errors))
	}
	fmt.Fprintf(w, "wrk\t%d\t%d requests, %.0f/s\t%d\n", storyWrk, result.Requests, result.Rate, broken)
	return lost, w.Flush()
}

func (l *Lab) downloads(ctx context.Context, client traffic.Client, targets []netip.AddrPort) (rate float64, lost []error) {
	want := Digest("100m")
	type result struct {
		traffic.Transfer
		err error
	}
	results := make(chan result)
	started := time.Now()
	count := l.kind.story().downloads
	for i := range count {
		go func() {
			t, err := client.Download(ctx, targets[i%len(targets)], "/100m")
			if err == nil && t.SHA256 != want {
				err = fmt.Errorf("download from %v: the digest is %s, not %s", targets[i%len(targets)], t.SHA256, want)
			}
			results <- result{t, err}
		}()
	}
	var bytes int64
	for range count {
		r := <-results
		bytes += r.Bytes
		if r.err != nil {
			lost = append(lost, r.err)
		}
	}
	return float64(bytes) * 8 / time.Since(started).Seconds() / 1e6, lost
}

// printWork prints what every node and every server did for the connections.
func (l *Lab) printWork(ctx context.Context, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nNODE\tINGRESS (SYNs)\tPRIMARY (offers)\tSECONDARY (SYN/ACKs)\tPACKETS IN\tPACKETS OUT (egress)")
	for _, n := range l.Top.Nodes {
		status, err := l.NodeStatus(ctx, n)
		if err != nil {
			return err
		}
		c := status.GetDataplane().GetCounters()
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\n", n.ID, c["syn_received"], c["offers_sent"], c["synack_sent"], c["ingress_forwarded"], c["egress_forwarded"])
	}
	fmt.Fprintln(w, "\nSERVER\tACCEPTED\tREJECTED\tSTILL OPEN")
	for _, s := range l.Top.Servers {
		status, err := l.ModuleStatus(ctx, s)
		if err != nil {
			return err
		}
		var rejected uint64
		for reason, n := range status.Offers {
			if reason != "accepted" {
				rejected += n
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", s.ID, status.Offers["accepted"], rejected, status.Connections)
	}
	fmt.Fprintln(w)
	return w.Flush()
}
