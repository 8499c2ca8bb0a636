package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc"

	"weir/dataplane/neighbour"
	"weir/dataplane/packet"
	"weir/services/api"
	"weir/services/config"
	"weir/services/program"
	"weir/services/version"
)

// run starts the dataplane and serves until ctx ends. When it returns, whatever
// it made (sockets, ports, memory) is gone.
func run(ctx context.Context, log *slog.Logger, path string) error {
	file, err := config.LoadNode(path)
	if err != nil {
		return err
	}
	memory, err := checkMachine(file)
	if err != nil {
		return err
	}
	lock, err := program.LockRunDir(file.RunDir, "dataplane")
	if err != nil {
		return err
	}
	defer lock.Close()
	socket, err := program.ListenUnix(file.DataplaneSocket())
	if err != nil {
		return err
	}
	defer socket.Close() // which removes the file

	// Flow tables hold no pointers and packets lie elsewhere, so the heap is
	// small: letting it grow costs less than pausing to collect it.
	debug.SetGCPercent(400)
	n, err := openNode(file, memory, log)
	if err != nil {
		return err
	}
	defer n.close()

	inner, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	if err := n.follow(inner, fail); err != nil {
		return err
	}
	server := grpc.NewServer()
	api.RegisterDataplaneServer(server, n)
	go func() { fail(server.Serve(socket)) }()
	defer server.Stop()

	supervisor := program.NewSupervisor(log)
	supervisor.Ready(n.condition())
	go n.report(inner, supervisor)
	go supervisor.Watchdog(inner, n.alive())
	log.Info("forwarding is ready", "node", file.Node, "version", version.Version, "north", n.ports[packet.North].Device, "south", n.ports[packet.South].Device,
		"layout", file.Dataplane.Layout.Mode, "workers", len(n.workers), "buffers", n.pool.Size(), "boot", fmt.Sprintf("%016x", n.boot))
	<-inner.Done()
	supervisor.Stopping()
	if ctx.Err() == nil {
		return context.Cause(inner)
	}
	log.Info("stopping")
	return nil
}

// follow keeps the neighbour table, takes up changes of the machine and watches
// over the exception interfaces until ctx ends.
func (n *node) follow(ctx context.Context, fail context.CancelCauseFunc) (err error) {
	var names [packet.NumPorts]string
	for side, tap := range n.taps {
		names[side] = tap.Name()
		go func() {
			select {
			case <-ctx.Done():
			case <-tap.Gone():
				fail(fmt.Errorf("exception interface %s was deleted; create it again and restart", tap.Name()))
			}
		}()
	}
	if n.mirror, err = neighbour.New(names, n.neighboursChanged); err != nil {
		return err
	}
	go n.watchMachine(ctx)
	go n.watchVital(ctx)
	go func() {
		if err := n.mirror.Run(ctx); err != nil {
			fail(err)
		}
	}()
	return nil
}
