// Package rolling takes a cluster whose nodes start from disks to new versions and
// back, under continuous traffic, and tells what the connections noticed (S-104).
package rolling

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"path/filepath"
	"text/tabwriter"
	"time"

	"weir/qemu/lab"
	"weir/qemu/soak"
	"weir/qemu/topology"
)

// The traffic: flows that are held open, and new connections per second.
const (
	held     = 300
	rate     = 100
	pace     = time.Second      // between two chunks of a busy flow: few packets, since machines that are translated are slow
	idle     = 4 * time.Second  // how long idle flows are silent each time
	patience = 60 * time.Second // without progress for so long a connection is lost
)

// Roll is a running cluster under traffic, with a repository of releases.
type Roll struct {
	Lab  *lab.Lab
	out  io.Writer
	soak *soak.Soak
	stop func() error
	rows []row
}

// row is one step, and what the connections noticed of it.
type row struct {
	name string
	took time.Duration
	w    soak.Window
}

// Begin starts a lab of lab.NewSlotted, the repository with the version that it
// runs, and the traffic.
func Begin(ctx context.Context, l *lab.Lab, out io.Writer) (r *Roll, err error) {
	if err := l.Up(ctx); err != nil {
		return nil, err
	}
	r = &Roll{Lab: l, out: out, stop: func() error { return nil }}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.stop(), l.Down())
		}
	}()
	version, err := l.Releases().Version()
	if err != nil {
		return nil, err
	}
	if err := l.Releases().Add(ctx, version, nil); err != nil {
		return nil, err
	}
	if r.stop, err = l.ServeReleases(l.Releases()); err != nil {
		return nil, err
	}
	vip := l.Top.VIPs[1]
	r.soak = soak.New(soak.Plan{
		Client:      topology.ClientName,
		Targets:     []netip.AddrPort{netip.AddrPortFrom(vip.Address, vip.Port), netip.AddrPortFrom(vip.Address6, vip.Port)},
		Connections: held, Pace: pace, Idle: idle, Rate: rate, Patience: patience, Explain: l.Explain,
	})
	for _, s := range l.Top.Servers {
		if err := r.soak.Listen(s.Namespace, vip.Port); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(out, "opening %d flows, and then %d new connections per second\n", held, rate)
	if err := r.soak.Open(ctx); err != nil {
		r.soak.Close()
		return nil, err
	}
	return r, nil
}

// Step does something and notes what the connections noticed of it.
func (r *Roll) Step(name string, do func() error) error {
	fmt.Fprintf(r.out, "\n%s\n", name)
	r.soak.Window()
	began := time.Now()
	err := do()
	r.rows = append(r.rows, row{name, time.Since(began), r.soak.Window()})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Command is weirctl in this lab; its output goes to ours.
func (r *Roll) Command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(r.Lab.Bin, "weirctl"), append([]string{"--lab"}, args...)...)
	c.Dir = filepath.Dir(filepath.Dir(r.Lab.Bin))
	c.Stdout, c.Stderr = r.out, r.out
	return c
}

// Weirctl runs weirctl to its end.
func (r *Roll) Weirctl(ctx context.Context, args ...string) error {
	fmt.Fprintln(r.out, "weirctl", args)
	return r.Command(ctx, args...).Run()
}

// End ends traffic and lab, and prints the table. It fails if a connection was lost.
func (r *Roll) End() error {
	fmt.Fprintln(r.out, "\nclosing all connections")
	v := r.soak.Close()
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STEP\tTOOK\tLONGEST STALL\tNEW CONNECTION AT MOST\tFAILED\tLOST")
	for _, x := range r.rows {
		fmt.Fprintf(w, "%s\t%.0f s\t%d ms\t%d ms\t%d\t%d\n", x.name, x.took.Seconds(), x.w.Longest.Milliseconds(), x.w.Fresh.Milliseconds(), x.w.FreshFailed, x.w.Lost)
	}
	errs := []error{w.Flush()}
	fmt.Fprintf(r.out, "\n%d of %d flows lost, %.0f MB verified; %d of %d new connections failed\n", len(v.Lost), v.Held, float64(v.Bytes)/1e6, len(v.FreshFailed), v.Fresh)
	if n := len(v.Lost); n > 0 {
		errs = append(errs, fmt.Errorf("%d flows were lost; the first: %w", n, v.Lost[0]))
	}
	if n := len(v.FreshFailed); n > 0 {
		errs = append(errs, fmt.Errorf("%d new connections failed; the first: %w", n, v.FreshFailed[0]))
	}
	return errors.Join(append(errs, r.stop(), r.Lab.Down())...)
}

// next is the version that the cluster goes to.
const next = "99.0.0"

// Run takes the cluster to a new version and back, and tells how that was.
func Run(ctx context.Context, l *lab.Lab, out io.Writer) (err error) {
	r, err := Begin(ctx, l, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.End()) }()
	fmt.Fprintln(out, "making version", next)
	if err := l.Releases().Add(ctx, next, nil); err != nil {
		return err
	}
	if err := r.Step("to version "+next, func() error { return r.Weirctl(ctx, "upgrade", "start", "--version", next) }); err != nil {
		return err
	}
	return r.Step("back", func() error { return r.Weirctl(ctx, "upgrade", "rollback") })
}
