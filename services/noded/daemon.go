package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"weir/services/api"
	"weir/services/config"
	"weir/services/confsource"
	"weir/services/noded/bgp"
	"weir/services/noded/health"
	"weir/services/noded/membership"
	"weir/services/program"
	"weir/services/state"
)

// metricsPort is where metrics are when node.yaml does not say (contract).
const metricsPort = 9100

// node is the program with a configuration.
type node struct {
	front  *front
	log    *slog.Logger
	file   *config.Node
	boot   uint64 // of this program
	link   *link
	bgp    *bgp.Manager
	loop   *health.Loop
	shares shares

	source  *confsource.Source
	settled chan *confsource.Config // in force; the source is to be told

	changed chan struct{}             // the view
	acting  sync.Mutex                // one act at a time
	flush   atomic.Bool               // the next beat makes the dataplane forget all flows
	synced  atomic.Uint32             // ring epoch that the dataplane has synchronised for
	speaks  atomic.Pointer[time.Time] // since when the sessions in force are those of a node that speaks; nil: they are not

	mu        sync.Mutex
	config    *confsource.Config // in force
	cluster   *config.Cluster    // of config
	view      membership.View
	resumed   uint64             // life of the dataplane that goes on as it was until the others are known
	desired   *api.DesiredState  // nil: no dataplane was seen yet
	desiredOf *confsource.Config // that desired is made of
}

// run is the program from reading its files to its last goodbye. Whatever it
// made (sockets, lock, sessions) is gone when it returns.
func run(ctx context.Context, log *slog.Logger, path string) error {
	file, err := config.LoadNode(path)
	if err != nil {
		return program.ConfigError(err)
	}
	text, err := sourceOf(path)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	bootID, err := kernelBoot()
	if err != nil {
		return err
	}
	lock, err := program.LockRunDir(file.RunDir, "noded")
	if err != nil {
		return err
	}
	defer lock.Close()
	admin, err := program.ListenUnix(file.AdminSocket())
	if err != nil {
		return err
	}
	defer admin.Close() // removes the socket
	f := &front{log: log, file: file, text: text, started: time.Now(), machine: newMachine(file.RunDir), updates: newUpdates(file.RunDir), supervisor: program.NewSupervisor(log)}
	defer f.machine.close()
	defer f.updates.close()
	if f.db, err = state.Open(file.StateDir, log); err != nil {
		return err
	}
	defer f.db.Close()
	f.history = openHistory(log, f.db, f.machine, bootID, kernelUptime)
	f.milestones = newMilestones(kernelUptime, f.history.milestones())
	f.remote = newRemote(log, f)

	failed := make(chan error, 1)
	server := grpc.NewServer()
	api.RegisterAdminServer(server, f)
	api.RegisterUpdateServer(server, f.updates)
	grpc_health_v1.RegisterHealthServer(server, grpchealth.NewServer())
	go func() { failed <- fmt.Errorf("serve: %w", server.Serve(admin)) }()
	defer server.Stop()

	background, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { f.remote.run(background) })
	work.Go(func() { f.history.keep(background, f.milestones) })
	work.Go(func() { f.updates.watch(background, f.history.upgrade) })
	work.Go(func() { f.report(background) })
	work.Go(func() { f.keepCertificate(background) })
	work.Go(func() { f.supervisor.Watchdog(background, f.alive) })
	work.Go(func() { failed <- f.serve(background) })
	err = <-failed
	if ctx.Err() != nil {
		f.supervisor.Stopping()
		log.Info("noded ends")
		return nil
	}
	return err
}

// serveAgain is the time between two attempts to serve.
const serveAgain = 5 * time.Second

// serve is a node with a configuration, until ctx ends. On an appliance what
// stands in the way is told to who asks, and tried again: a node that cannot
// serve must be reachable (S-101).
func (f *front) serve(ctx context.Context) error {
	for {
		err := f.once(ctx)
		f.node.Store(nil)
		if ctx.Err() != nil || f.file.Machine == nil {
			return err
		}
		f.log.Error("this node cannot serve", "error", err)
		f.wait(err.Error())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(serveAgain):
		}
	}
}

// once is one attempt to serve.
func (f *front) once(ctx context.Context) error {
	log, file := f.log, f.file
	source, err := f.openSource(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	first := source.Current()
	cluster := first.Cluster
	n := &node{front: f, log: log, file: file, boot: randomBoot(), bgp: bgp.NewManager(log), source: source,
		changed: make(chan struct{}, 1), settled: make(chan *confsource.Config, 1)}
	if cluster.Member(file.Node) == nil {
		_, err := config.LBNode(cluster, file.Node, nil)
		return fmt.Errorf("node.yaml: %w", program.ConfigError(err))
	}

	metrics, err := listenMetrics(metricsAddress(file, cluster))
	if err != nil {
		return err
	}
	defer metrics.Close()
	n.link = newLink(log, file.DataplaneSocket(), n.applied)
	defer n.link.close()
	defer n.bgp.Close()
	if err := n.check(cluster); err != nil {
		return err
	}
	n.config, n.cluster = first, cluster
	n.loop, err = health.New(cluster, health.Options{Log: log, Node: file.Node, Noded: n.boot, Exception: file.Dataplane.North.Exception,
		View: n.seen, Flush: func() { n.flush.Store(true) }})
	if err != nil {
		return err
	}
	defer n.loop.Close()
	if boot, flags := n.resume(ctx); boot != 0 {
		n.resumed = boot
		n.loop.Resume(boot, flags)
	}
	drained, err := f.db.Get(drainedKey)
	if err != nil {
		log.Error("whether the operator has drained this node is not known", "error", err)
	}
	if drained != nil {
		log.Warn("this node stays drained, as the operator wanted", "since", string(drained))
		n.loop.Drain()
	}
	failed := make(chan error, 1)
	web := &http.Server{Handler: n.metricsHandler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { failed <- web.Serve(metrics) }()
	defer web.Close()

	background, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { n.link.run(background) })
	work.Go(func() { n.loop.Run(background) })
	work.Go(func() { n.beat(background) })
	work.Go(func() { n.follow(background) })
	work.Go(func() { n.watch(background) })

	f.node.Store(n)
	defer f.node.Store(nil)
	f.tellReady()
	log.Info("noded is ready", "node", file.Node, "cluster", cluster.Identity.Name, "admin", file.AdminSocket(), "metrics", metrics.Addr())
	select {
	case err := <-failed:
		return fmt.Errorf("serve metrics: %w", err)
	case <-ctx.Done():
		return nil
	}
}

// check refuses a cluster configuration that this node cannot have.
func (n *node) check(c *config.Cluster) error {
	if _, err := config.LBNode(c, n.file.Node, nil); err != nil {
		return program.ConfigError(err)
	}
	return checkSources(n.file.BGP.Interface, sources(c, n.file.Node))
}

// take puts a cluster configuration in force, or changes nothing.
func (n *node) take(c *confsource.Config) error {
	if err := n.check(c.Cluster); err != nil {
		return err
	}
	n.mu.Lock()
	was, is := n.cluster.Member(n.file.Node), c.Member(n.file.Node)
	n.mu.Unlock()
	if was.Number != is.Number || was.North != is.North || was.South != is.South {
		return fmt.Errorf("the number or addresses of node %s have changed; restart noded and dataplane on it to take them", is.ID)
	}
	for _, w := range c.Warnings {
		n.log.Warn(w)
	}
	n.mu.Lock()
	n.config, n.cluster = c, c.Cluster
	n.mu.Unlock()
	n.loop.Configure(c.Cluster)
	return n.act()
}

// randomBoot names one life of this program.
func randomBoot() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return binary.BigEndian.Uint64(b[:]) | 1
}

// metricsAddress is where metrics are served.
func metricsAddress(f *config.Node, c *config.Cluster) netip.AddrPort {
	if f.Metrics.IsValid() {
		return f.Metrics
	}
	return netip.AddrPortFrom(c.Member(f.Node).South, metricsPort)
}

func listenMetrics(a netip.AddrPort) (net.Listener, error) {
	l, err := net.Listen("tcp", a.String())
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("metrics address %s is in use; stop the program that has it, or set metrics in node.yaml", a)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("metrics address %s is not on this machine; add it to the south exception interface, or set metrics in node.yaml", a)
	case err != nil:
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	return l, nil
}
