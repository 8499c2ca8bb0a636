package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"weir/services/api"
	"weir/services/configd/rig"
	"weir/services/identity"
	"weir/services/program"
)

// place is a folder with an authority and a configd.yaml.
type place struct {
	t       *testing.T
	dir     string
	address string
	log     bytes.Buffer
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir()}
	if err := identity.CreateCA(p.path("pki"), rig.Name); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	l.Close()
	p.write("configd", "main")
	return p
}

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

// write writes configd.yaml, for a certificate of this role and id.
func (p *place) write(role identity.Role, id string) {
	p.t.Helper()
	if _, err := identity.Issue(p.path("pki"), role, id, []string{"127.0.0.1"}); err != nil {
		p.t.Fatal(err)
	}
	text := fmt.Sprintf("listen: %s\nstate_dir: state\nca: pki/ca.crt\ncert: pki/%[2]s-%[3]s.crt\nkey: pki/%[2]s-%[3]s.key\n", p.address, role, id)
	if err := os.WriteFile(p.path("configd.yaml"), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// start runs configd; stop ends it and gives its error.
func (p *place) start() (stop func() error) {
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, slog.New(slog.NewTextHandler(&p.log, nil)), p.path("configd.yaml")) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	p.t.Cleanup(func() { stop() })
	return stop
}

func (p *place) client(role identity.Role, id string) api.ConfigClient {
	p.t.Helper()
	f, err := identity.Issue(p.path("pki"), role, id, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	me, err := identity.Load(f)
	if err != nil {
		p.t.Fatal(err)
	}
	c, err := grpc.NewClient(p.address, grpc.WithTransportCredentials(credentials.NewTLS(me.Client(identity.Configd))))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	return api.NewConfigClient(c)
}

func TestConfigdServesRemembersAndKeepsItsSecrets(t *testing.T) {
	p := newPlace(t)
	stop := p.start()
	operator := p.client(identity.Operator, "me")
	rig.Until(t, "it applies", func() bool {
		_, err := operator.Apply(t.Context(), &api.ApplyRequest{Cluster: rig.Cluster(1, 1), File: "c"})
		return err == nil
	})
	snapshot := func() *api.Snapshot {
		t.Helper()
		w, err := p.client(identity.Node, "lb1").Watch(t.Context(), &api.WatchRequest{}, grpc.WaitForReady(true))
		if err != nil {
			t.Fatal(err)
		}
		s, err := w.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := snapshot()
	k, err := operator.Keys(t.Context(), &api.KeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := operator.ChangeKeys(t.Context(), &api.KeysChange{To: api.KeysPhase_KEYS_ADDED, ExpectedRevision: k.Revision}); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	stop = p.start()
	after := snapshot()
	if before.Store != after.Store || before.Cluster != after.Cluster || !bytes.Equal(before.Keys.Base, after.Keys.Base) || len(after.Keys.Control) != 2 {
		t.Errorf("store %s became %s, with %d keys", before.Store, after.Store, len(after.Keys.Control))
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	log := p.log.String()
	for _, key := range [][]byte{after.Keys.Base, after.Keys.Control[0].Key, after.Keys.Control[1].Key} {
		for _, form := range []string{string(key), hex.EncodeToString(key), fmt.Sprint(key)} {
			if strings.Contains(log, form) {
				t.Errorf("the log holds a key:\n%s", log)
			}
		}
	}
	if n := strings.Count(log, "this is a new cluster"); n != 1 {
		t.Errorf("keys were made %d times:\n%s", n, log)
	}
	err = filepath.WalkDir(p.path("state"), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 && path != p.path("state") {
			t.Errorf("others can use %s: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWhatCannotStartSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*place)
		code  int
		want  string
	}{
		"no file":      {func(p *place) { os.Remove(p.path("configd.yaml")) }, program.ExitUsage, "no such file"},
		"another role": {func(p *place) { p.write(identity.Node, "lb1") }, program.ExitUsage, "is of a node"},
		"no authority": {func(p *place) { os.Remove(p.path("pki/ca.crt")) }, program.ExitUsage, "ca.crt"},
		"taken port": {func(p *place) {
			l, err := net.Listen("tcp", p.address)
			if err != nil {
				p.t.Fatal(err)
			}
			p.t.Cleanup(func() { l.Close() })
		}, program.ExitFailed, "address already in use"},
		"running already": {func(p *place) {
			lock, err := program.LockRunDir(p.path("state"), "configd")
			if err != nil {
				p.t.Fatal(err)
			}
			p.t.Cleanup(func() { lock.Close() })
		}, program.ExitFailed, "another configd runs"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			c.spoil(p)
			err := run(t.Context(), slog.New(slog.DiscardHandler), p.path("configd.yaml"))
			if err == nil || program.ExitCode(err) != c.code || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, exit code %d", err, program.ExitCode(err))
			}
		})
	}
}
