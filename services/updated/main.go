// Command updated replaces the image of an LB node (S-104): it fetches and verifies
// a version, writes it into the slot that does not run, has it tried, and commits
// it when the health gate passes, or goes back. No node needs it to serve.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"weir/services/api"
	"weir/services/config"
	"weir/services/program"
)

func main() {
	program.Main(program.Daemon{Name: "updated", Config: "/etc/weir/node.yaml", Run: run,
		About: "Replaces the image of an LB node: fetches and verifies a version, writes it into the\n" +
			"slot that does not run, has it tried, and commits it when the node proves healthy,\n" +
			"or goes back. No node needs it to serve."})
}

// Where a machine has things whose configuration cannot be read: a version that
// cannot read it must go back all the same.
const (
	usualRunDir   = "/run/weir"
	usualStateDir = "/var/lib/weir"
)

// run is the program from reading its files to its end.
func run(ctx context.Context, log *slog.Logger, path string) error {
	runDir, stateDir := usualRunDir, usualStateDir
	if file, err := config.LoadNode(path); err == nil {
		runDir, stateDir = file.RunDir, file.StateDir
	}
	lock, err := program.LockRunDir(runDir, "updated")
	if err != nil {
		return err
	}
	defer lock.Close()
	socket, err := program.ListenUnix(filepath.Join(runDir, "updated.sock"))
	if err != nil {
		return err
	}
	defer socket.Close() // removes the socket
	w, closeWorld, err := machine(runDir)
	if err != nil {
		return err
	}
	defer closeWorld()
	d := newDaemon(log, &w, path, runDir, stateDir)
	failed := make(chan error, 1)
	calls := grpc.NewServer()
	api.RegisterUpdateServer(calls, server{daemon: d})
	go func() { failed <- fmt.Errorf("serve: %w", calls.Serve(socket)) }()
	defer calls.Stop()

	background, cancel := context.WithCancel(ctx)
	supervisor := program.NewSupervisor(log)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { d.run(background) })
	work.Go(func() { supervisor.Watchdog(background, d.hangs) })
	work.Go(func() { d.tellStatus(background, supervisor) })
	supervisor.Ready(d.condition())
	select {
	case err = <-failed:
	case <-ctx.Done():
		supervisor.Stopping()
		err = nil
	}
	return err
}

// patience is how long a step may go without a sign of life: a look at a repository
// whose server is silent takes longest.
const patience = 3 * time.Minute

// hangs is the watchdog's question.
func (d *daemon) hangs(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if silent := d.world.uptime() - d.turned; silent > patience {
		return fmt.Errorf("no step has ended for %v", silent.Round(time.Second))
	}
	return nil
}

// tellStatus keeps the supervisor informed until ctx ends.
func (d *daemon) tellStatus(ctx context.Context, s *program.Supervisor) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.Status(d.condition())
		}
	}
}

// condition is what updated does, in a line.
func (d *daemon) condition() string {
	a, err := server{daemon: d}.Status(context.Background(), nil)
	switch {
	case err != nil:
		return err.Error()
	case a.Trial != nil:
		return fmt.Sprintf("version %s is on trial: %s", a.Version, cmp.Or(strings.Join(a.Trial.WaitsFor, "; "), "all is well"))
	case a.Error != "":
		return a.Error
	case a.Job != nil:
		return fmt.Sprintf("%s version %s", a.Job.Phase, a.Job.Version)
	}
	return "version " + a.Version + " in slot " + a.Slot
}
