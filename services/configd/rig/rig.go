// Package rig runs a configuration service inside a test: a real etcd, a real
// authority, gRPC over loopback.
package rig

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	clientv3 "go.etcd.io/etcd/client/v3"

	"weir/services/api"
	"weir/services/configd/rollouts"
	"weir/services/configd/service"
	"weir/services/configd/store"
	"weir/services/identity"
)

// Name is the cluster's name in every rig.
const Name = "test"

// Rig is a configuration service that can be stopped and started.
type Rig struct {
	t       testing.TB
	PKI     string         // folder of the authority
	Dir     string         // of the embedded etcd; replaced, the next start has another store
	Address netip.AddrPort // stays the same
	// Etcd is used instead of the embedded one, unless it is nil.
	Etcd func() (*clientv3.Client, error)
	// Nodes are what upgrades go to.
	Nodes *Nodes

	stop func()
}

// New makes an authority and picks an address; Start starts the service.
func New(t testing.TB) *Rig {
	t.Helper()
	r := &Rig{t: t, PKI: filepath.Join(t.TempDir(), "pki"), Dir: t.TempDir(), Nodes: &Nodes{}}
	if err := identity.CreateCA(r.PKI, Name); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.Address = netip.MustParseAddrPort(l.Addr().String())
	l.Close()
	t.Cleanup(r.Stop)
	return r
}

// Start starts the service and returns when it answers.
func (r *Rig) Start() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var etcd *clientv3.Client
	var closeEtcd func()
	var err error
	if r.Etcd != nil {
		if etcd, err = r.Etcd(); err == nil {
			closeEtcd = func() { etcd.Close() }
		}
	} else {
		etcd, closeEtcd, err = store.Embedded(ctx, r.Dir)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	st := store.New(etcd, Name)
	if _, err := st.EnsureKeys(ctx); err != nil {
		r.t.Fatal(err)
	}
	s := service.New(slog.New(slog.DiscardHandler), st, Name)
	var work sync.WaitGroup
	work.Go(func() { s.Run(ctx) })
	var l net.Listener
	Until(r.t, "the address is free", func() bool {
		l, err = net.Listen("tcp", r.Address.String())
		return err == nil
	})
	me, err := identity.Load(r.Issue(identity.Configd, "main"))
	if err != nil {
		r.t.Fatal(err)
	}
	g := service.NewServer(me)
	s.Register(g)
	upgrades := rollouts.New(slog.New(slog.DiscardHandler), st, r.Nodes, s.Members)
	upgrades.Pace, upgrades.Bear = 10*time.Millisecond, 0
	upgrades.Register(g)
	work.Go(func() { upgrades.Run(ctx) })
	work.Go(func() { _ = g.Serve(l) })
	r.stop = func() {
		g.Stop()
		cancel()
		work.Wait()
		closeEtcd()
	}
	operator := r.Operator()
	Until(r.t, "the service answers", func() bool {
		_, err = operator.Get(r.t.Context(), &api.GetRequest{})
		return err == nil
	})
}

// Stop takes the service away.
func (r *Rig) Stop() {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

// Issue makes a certificate for somebody on this machine.
func (r *Rig) Issue(role identity.Role, id string) identity.Files {
	r.t.Helper()
	f, err := identity.Issue(r.PKI, role, id, []string{"127.0.0.1"})
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

// Client calls the service as somebody.
func (r *Rig) Client(role identity.Role, id string) api.ConfigClient {
	r.t.Helper()
	return api.NewConfigClient(r.Dial(role, id))
}

// Dial connects to the service as somebody.
func (r *Rig) Dial(role identity.Role, id string) *grpc.ClientConn {
	r.t.Helper()
	me, err := identity.Load(r.Issue(role, id))
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := grpc.NewClient(r.Address.String(), grpc.WithTransportCredentials(credentials.NewTLS(me.Client(identity.Configd))))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// Operator calls the service as an operator.
func (r *Rig) Operator() api.ConfigClient { return r.Client(identity.Operator, "tester") }

// Apply puts a cluster file in force.
func (r *Rig) Apply(text string) int64 {
	r.t.Helper()
	operator := r.Operator()
	now, err := operator.Get(r.t.Context(), &api.GetRequest{})
	if err != nil {
		r.t.Fatal(err)
	}
	done, err := operator.Apply(r.t.Context(), &api.ApplyRequest{Cluster: text, File: "cluster.yaml", ExpectedRevision: now.Revision})
	if err != nil {
		r.t.Fatal(err)
	}
	return done.Revision
}

// Cluster is a cluster file with so many nodes and servers.
func Cluster(nodes, servers int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cluster: {name: %s, id: 1}\nnodes:\n", Name)
	for i := 1; i <= nodes; i++ {
		fmt.Fprintf(&b, "  - {id: lb%d, number: %d, north: 10.10.0.%d, south: 10.20.0.%d}\n", i, i, i, i)
	}
	b.WriteString("servers:\n")
	for i := 1; i <= servers; i++ {
		fmt.Fprintf(&b, "  - {id: srv%d, number: %d, address: 10.20.1.%d}\n", i, i, i)
	}
	b.WriteString("endpoints:\n  - {name: web, addresses: [203.0.113.10], ports: 80}\n")
	return b.String()
}

// Until waits for a condition, ten seconds at most.
func Until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}
