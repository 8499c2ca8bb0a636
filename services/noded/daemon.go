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

	"github.com/coreos/go-systemd/v22/daemon"
	"google.golang.org/grpc"

	"weir/services/api"
	"weir/services/config"
	"weir/services/confsource"
	"weir/services/noded/bgp"
	"weir/services/noded/health"
	"weir/services/noded/membership"
	"weir/services/program"
)

// metricsPort is where metrics are when node.yaml does not say (contract).
const metricsPort = 9100

// node is the running program.
type node struct {
	log     *slog.Logger
	file    *config.Node
	started time.Time
	boot    uint64 // of this program
	link    *link
	bgp     *bgp.Manager
	loop    *health.Loop
	shares  shares

	source  *source
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
	lock, err := program.LockRunDir(file.RunDir, "noded")
	if err != nil {
		return err
	}
	defer lock.Close()
	source, err := openSource(ctx, log, file)
	if err != nil {
		return err
	}
	defer source.close()
	first := source.Current()
	cluster := first.Cluster
	n := &node{log: log, file: file, started: time.Now(), boot: randomBoot(), bgp: bgp.NewManager(log), source: source,
		changed: make(chan struct{}, 1), settled: make(chan *confsource.Config, 1)}
	if cluster.Member(file.Node) == nil {
		_, err := config.LBNode(cluster, file.Node, nil)
		return fmt.Errorf("%s: %w", path, program.ConfigError(err))
	}

	metrics, err := listenMetrics(metricsAddress(file, cluster))
	if err != nil {
		return err
	}
	defer metrics.Close()
	admin, err := program.ListenUnix(file.AdminSocket())
	if err != nil {
		return err
	}
	defer admin.Close() // removes the socket

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

	failed := make(chan error, 3)
	server := grpc.NewServer()
	api.RegisterAdminServer(server, &adminServer{node: n})
	go func() { failed <- server.Serve(admin) }()
	defer server.Stop()
	web := &http.Server{Handler: n.metricsHandler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { failed <- web.Serve(metrics) }()
	defer web.Close()

	drained, err := n.source.db.Get(drainedKey)
	if err != nil {
		return err
	}
	if drained != nil {
		log.Warn("this node stays drained, as the operator wanted", "since", string(drained))
		n.loop.Drain()
	}
	remote, err := n.listenRemote()
	if err != nil {
		return err
	}
	if remote != nil {
		api.RegisterAdminServer(remote.server, &adminServer{node: n})
		go func() { failed <- remote.server.Serve(remote.listener) }()
		defer remote.server.Stop()
	}

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

	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		log.Warn("tell the supervisor that noded is ready", "error", err)
	}
	log.Info("noded is ready", "node", file.Node, "cluster", cluster.Identity.Name, "admin", file.AdminSocket(), "metrics", metrics.Addr())
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
		log.Info("noded ends")
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
