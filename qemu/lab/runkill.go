package lab

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// killAfter is how far into the transfers.
const killAfter = 2 * time.Second

// killInTheMiddle kills all programs of one node in the middle of transfers,
// starts them again, prints what happened, and returns what went wrong with
// connections.
func (l *Lab) killInTheMiddle(ctx context.Context, out io.Writer) (lost []error, err error) {
	victim := l.Top.Nodes[len(l.Top.Nodes)-1]
	routes, err := l.WatchRoutes()
	if err != nil {
		return nil, err
	}
	defer routes.Close()
	client, targets := l.storyClient()
	within, cancel := context.WithTimeout(ctx, l.kind.patience())
	defer cancel()
	if _, err := routes.Announced(within, victim); err != nil {
		return nil, fmt.Errorf("wait until %s carries traffic: %w", victim.ID, err)
	}

	downloading := l.kind.story().downloads
	l.say("%d downloads and wrk with %d connections once more; in the middle of it %s %s", downloading, storyWrk, victim.ID, l.kind.death())
	type killed struct {
		withdrawn time.Duration
		err       error
	}
	kill := make(chan killed, 1)
	go func() {
		var k killed
		k.withdrawn, k.err = l.killAndAwait(ctx, routes)
		kill <- k
	}()
	downloads := make(chan []error, 1)
	go func() {
		_, failed := l.downloads(ctx, client, targets)
		downloads <- failed
	}()
	result, err := client.RunWrk(ctx, "http://"+targets[0].String()+"/1k", storyWrk, storyWrkSeconds)
	failed, k := <-downloads, <-kill
	if err != nil {
		return nil, err
	}
	if k.err != nil {
		return nil, k.err
	}
	lost = failed
	if result.Errors != "" {
		lost = append(lost, fmt.Errorf("wrk: %s", result.Errors))
	}
	l.say("%s comes back", victim.ID)
	if err := l.Restart(victim.ID); err != nil {
		return nil, err
	}
	back := time.Now()
	within, cancel = context.WithTimeout(ctx, l.kind.patience())
	defer cancel()
	at, err := routes.Announced(within, victim)
	if err != nil {
		return nil, fmt.Errorf("wait for the return of %s: %w", victim.ID, err)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KILLED\tROUTER STOPPED USING IT AFTER\tREQUESTS MEANWHILE\tDOWNLOADS MEANWHILE\tLOST\tUSED AGAIN AFTER ITS START")
	fmt.Fprintf(w, "%s\t%d ms\t%d\t%d\t%d\t%d ms\n\n", victim.ID, k.withdrawn.Milliseconds(), result.Requests, downloading, len(lost), at.Sub(back).Milliseconds())
	if err := w.Flush(); err != nil {
		return nil, err
	}
	return lost, l.PrintBoots(ctx, out, victim)
}

// killAndAwait kills the last node and returns how long the router went on using it.
func (l *Lab) killAndAwait(ctx context.Context, routes *RouteWatch) (time.Duration, error) {
	victim := l.Top.Nodes[len(l.Top.Nodes)-1]
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(killAfter):
	}
	began := time.Now()
	if err := l.Kill(victim.ID); err != nil {
		return 0, err
	}
	within, cancel := context.WithTimeout(ctx, l.kind.patience())
	defer cancel()
	at, err := routes.Withdrawn(within, victim)
	if err != nil {
		return 0, fmt.Errorf("wait for the router to give up %s: %w", victim.ID, err)
	}
	return at.Sub(began), nil
}
