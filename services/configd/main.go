// Command configd is the configuration service (S-112): the authorised list of
// nodes, servers and endpoints, and the cluster's keys, kept in etcd.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"weir/services/config"
	"weir/services/configd/rollouts"
	"weir/services/configd/service"
	"weir/services/configd/store"
	"weir/services/identity"
	"weir/services/program"
)

func main() {
	program.Main(program.Daemon{Name: "configd", Config: "/etc/weir/configd.yaml", Run: run,
		About: "Configuration service of a cluster: tells nodes and servers the cluster file and the\n" +
			"keys, and takes changes from operators. Nothing but changes needs it: while it is\n" +
			"away, everybody goes on with the last good configuration."})
}

// run is the program from reading its file to its last goodbye.
func run(ctx context.Context, log *slog.Logger, path string) error {
	file, err := config.LoadConfigd(path)
	if err != nil {
		return program.ConfigError(err)
	}
	me, err := identity.Load(identity.Files{CA: file.CA, Cert: file.Cert, Key: file.Key})
	if err == nil && me.Name.Role != identity.Configd {
		err = fmt.Errorf("%s is of a %s; weirctl certs issue configd ID makes the right one", file.Cert, me.Name.Role)
	}
	if err == nil && file.Revoked != "" {
		var revoked *identity.Revocations
		revoked, err = identity.ReadRevocations(file.Revoked, file.CA)
		me.Refuse(revoked)
	}
	if err != nil {
		return program.ConfigError(err)
	}
	listener, err := net.Listen("tcp", file.Listen.String())
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer listener.Close()
	etcd, closeEtcd, err := open(ctx, file)
	if err != nil {
		return err
	}
	defer closeEtcd()
	st := store.New(etcd, me.Name.Cluster)
	switch created, err := st.EnsureKeys(ctx); {
	case err != nil:
		return fmt.Errorf("ask the store: %w", err)
	case created:
		log.Info("this is a new cluster: its keys are made", "cluster", me.Name.Cluster)
	}

	s := service.New(log, st, me.Name.Cluster)
	background, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { s.Run(background) })
	nodes := rollouts.NewNodes(me, st.CallsFrom)
	defer nodes.Close()
	upgrades := rollouts.New(log, st, nodes, s.Members)
	work.Go(func() { upgrades.Run(background) })
	defer work.Wait()
	defer cancel()
	server := service.NewServer(me)
	s.Register(server)
	upgrades.Register(server)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	defer server.Stop()

	supervisor := program.NewSupervisor(log)
	supervisor.Ready("serves cluster " + me.Name.Cluster)
	log.Info("configd is ready", "cluster", me.Name.Cluster, "listen", listener.Addr(), "external_etcd", file.Etcd.External())
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		supervisor.Stopping()
		log.Info("configd ends")
		return nil
	}
}

// open gives the client of the etcd that the file names, and what closes it.
func open(ctx context.Context, file *config.Configd) (*clientv3.Client, func(), error) {
	if file.Etcd.External() {
		c, err := store.External(&file.Etcd)
		if err != nil {
			return nil, nil, err
		}
		return c, func() { c.Close() }, nil
	}
	lock, err := program.LockRunDir(file.StateDir, "configd")
	if err != nil {
		return nil, nil, err
	}
	c, closeEtcd, err := store.Embedded(ctx, file.StateDir)
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return c, func() { closeEtcd(); _ = lock.Close() }, nil
}
