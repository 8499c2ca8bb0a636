package service_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/config"
	"weir/services/configd/rig"
	"weir/services/configd/store"
	"weir/services/identity"
)

// member is one etcd of Debian's etcd-server.
type member struct {
	t    *testing.T
	argv []string
	cmd  *exec.Cmd
}

func (m *member) start() {
	m.t.Helper()
	m.cmd = exec.Command("etcd", m.argv...)
	m.cmd.Env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH=", "ETCD_LOG_LEVEL=error")
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatalf("%v; make deps installs etcd-server", err)
	}
}

func (m *member) kill() {
	if m.cmd != nil {
		m.cmd.Process.Kill()
		m.cmd.Wait()
		m.cmd = nil
	}
}

// freeAddress is an address of this machine that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// etcdCluster runs three members whose clients need certificates.
func etcdCluster(t *testing.T, r *rig.Rig) (members []*member, conf config.Etcd) {
	t.Helper()
	var initial []string
	for i := range 3 {
		f := r.Issue(identity.Configd, fmt.Sprintf("etcd%d", i))
		conf.CA, conf.Cert, conf.Key = f.CA, f.Cert, f.Key
		client, peer := "https://"+freeAddress(t), "http://"+freeAddress(t)
		conf.Endpoints = append(conf.Endpoints, client)
		initial = append(initial, fmt.Sprintf("etcd%d=%s", i, peer))
		members = append(members, &member{t: t, argv: []string{"--name", fmt.Sprintf("etcd%d", i), "--data-dir", t.TempDir(),
			"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
			"--cert-file", f.Cert, "--key-file", f.Key, "--trusted-ca-file", f.CA, "--client-cert-auth"}})
	}
	for _, m := range members {
		m.argv = append(m.argv, "--initial-cluster", strings.Join(initial, ","))
		m.start()
		t.Cleanup(m.kill)
	}
	return members, conf
}

// answers reports whether an etcd reads with a majority.
func answers(t *testing.T, conf *config.Etcd) bool {
	t.Helper()
	c, err := store.External(conf)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = c.Get(ctx, "/")
	return err == nil
}

func TestOneOfThreeMembersMayDieAndTheConfigurationStillChanges(t *testing.T) {
	r := rig.New(t)
	members, conf := etcdCluster(t, r)
	r.Etcd = func() (*clientv3.Client, error) {
		rig.Until(t, "etcd answers", func() bool { return answers(t, &conf) })
		return store.External(&conf)
	}
	r.Start()
	// A second front-end on the same etcd.
	second := *r
	second.Address = netip.MustParseAddrPort(freeAddress(t))
	second.Start()
	defer second.Stop()

	r.Apply(rig.Cluster(3, 3))
	w := watch(t, second.Client(identity.Node, "lb1"))
	for s := receive(t, w); s.Pending; s = receive(t, w) {
	}
	text := rig.Cluster(4, 3)
	for i, m := range members {
		m.kill()
		text = strings.Replace(rig.Cluster(4, 3), "10.20.1.1}", fmt.Sprintf("10.20.1.1, weight: %d}", 10+i), 1)
		rig.Until(t, "a change passes", func() bool {
			err := apply(t, r, func(q *api.ApplyRequest) { q.Cluster = text })
			return err == nil
		})
		if s := receive(t, w); s.Cluster != text {
			t.Errorf("with member %d killed the other front-end tells revision %d", i, s.Revision)
		}
		m.start()
		rig.Until(t, "it is back", func() bool {
			one := conf
			one.Endpoints = conf.Endpoints[i : i+1]
			return answers(t, &one)
		})
	}

	// Without a majority nothing changes, and what is known is told on.
	members[0].kill()
	members[1].kill()
	late := watch(t, r.Client(identity.Node, "lb2"))
	if s := receive(t, late); s.Cluster != text {
		t.Errorf("who comes now is told revision %d", s.Revision)
	}
	if _, err := r.Operator().Get(t.Context(), &api.GetRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("an operator is told %v", err)
	}
	members[0].start()
	rig.Until(t, "a change passes again", func() bool {
		now, err := r.Operator().Get(t.Context(), &api.GetRequest{})
		if err != nil {
			return false
		}
		_, err = r.Operator().Apply(t.Context(), &api.ApplyRequest{Cluster: text + "\n", File: "c", ExpectedRevision: now.Revision})
		return err == nil
	})
	if s := receive(t, w); s.Cluster != text+"\n" {
		t.Errorf("revision %d", s.Revision)
	}
}
