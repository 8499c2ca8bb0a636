// Package rig is what the tests of provisioning share: an authority, entries, an
// image's folder, and a service for enrolment on this machine.
package rig

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"weir/provisioning/enrol"
	"weir/provisioning/enrolclient"
	"weir/provisioning/guard"
	"weir/provisioning/machines"
	"weir/provisioning/store"
	"weir/services/api"
	"weir/services/config"
	"weir/services/identity"
)

// Version is what machines boot, OldVersion what they booted before.
const (
	Version    = "1.1.0"
	OldVersion = "1.0.0"
)

// Password is in every node.yaml: a secret.
const Password = "$2a$04$VAkuXpbYIKxvoVYxRpbnquVzKOPSyHjZgLu7zcS3SkwQLOmL6Tq/y"

// Template is of a node.yaml.
const Template = `node: {{.id}}
config_service: {addresses: ["10.40.0.1:6092"], ca: identity/ca.crt, cert: identity/machine.crt, key: identity/machine.key}
dataplane:
  north: {device: "mac:{{.north}}", exception: weir-north}
  south: {device: "mac:{{.south}}", exception: weir-south}
machine:
  north: {addresses: [{{.address}}/24]}
  south: {addresses: [10.20.0.11/24]}
  control: {device: "mac:52:54:00:00:00:01", dhcp: true}
  password: "` + Password + `"
`

// File is a provisiond.yaml; the folder that it lies in is made by Rig.
const File = `interface: eth0
address: 10.40.0.1
authority: pki
cert: pki/provisiond-main.crt
key: pki/provisiond-main.key
state_dir: state
images: images
repository: repository
version: ` + Version + `
command_line: quiet
template: node.yaml.tmpl
machines:
  - id: lb1
    macs: ["52:54:00:00:00:01"]
    values: [{name: north, value: "52:54:00:00:01:01"}, {name: south, value: "52:54:00:00:01:02"}, {name: address, value: 10.10.0.11}]
  - id: lb2
    uuid: 4c4c4544-0033-3310-8051-b4c04f4b3132
    install: true
    values: [{name: north, value: "52:54:00:00:02:01"}, {name: south, value: "52:54:00:00:02:02"}, {name: address, value: 10.10.0.12}]
  - {id: srv1, role: server, serial: ABC123}
`

// Rig is a service for enrolment.
type Rig struct {
	T         testing.TB
	Dir       string
	PKI       string
	File      *config.Provisiond
	Authority *identity.Authority
	Registry  *machines.Registry
	Counters  *guard.Counters
	Address   string // of the service; empty before Serve
	stop      func()
}

// New makes the folder of a provisiond.yaml, and its registry.
func New(t testing.TB) *Rig {
	t.Helper()
	r := &Rig{T: t, Dir: t.TempDir()}
	r.PKI = filepath.Join(r.Dir, "pki")
	must(t, identity.CreateCA(r.PKI, "lab"))
	_, err := identity.Issue(r.PKI, identity.Provisiond, "main", []string{"127.0.0.1", "10.40.0.1"})
	must(t, err)
	r.Write("provisiond.yaml", File)
	r.Write("node.yaml.tmpl", Template)
	for _, v := range []string{Version, OldVersion} {
		for name, text := range map[string]string{"vmlinuz": "kernel " + v, "initramfs.cpio.zst": "initramfs " + v, "weir.efi": "unified " + v, "loader.efi": "loader " + v, "manifest.json": `{"command_line": "panic=10"}`} {
			r.Write("images/"+v+"/"+name, text)
		}
	}
	r.Write("repository/metadata/timestamp.json", "{}")
	r.Write("repository/targets/"+Version+"/aa.weir.efi", "target")
	r.Open()
	return r
}

// Write writes a file of the folder.
func (r *Rig) Write(name, text string) {
	r.T.Helper()
	path := filepath.Join(r.Dir, name)
	must(r.T, os.MkdirAll(filepath.Dir(path), 0o755))
	must(r.T, os.WriteFile(path, []byte(text), 0o644))
}

// Open reads the folder as a program that starts does.
func (r *Rig) Open() {
	r.T.Helper()
	r.Close()
	var err error
	r.File, err = config.LoadProvisiond(filepath.Join(r.Dir, "provisiond.yaml"))
	must(r.T, err)
	entries, err := machines.Entries(r.File)
	must(r.T, err)
	r.Authority, err = identity.OpenAuthority(r.PKI)
	must(r.T, err)
	s, err := store.Open(filepath.Join(r.Dir, "state"))
	must(r.T, err)
	kept, err := s.Kept()
	must(r.T, err)
	r.Counters = guard.NewCounters(prometheus.NewRegistry())
	r.Registry = machines.New(entries, r.File.Version, r.File.Validity, r.Authority, s, kept)
	r.stop = func() { must(r.T, s.Close()) }
	r.T.Cleanup(r.Close)
}

// Close ends what Open and Serve began.
func (r *Rig) Close() {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

// Serve starts the service for enrolment.
func (r *Rig) Serve() {
	r.T.Helper()
	me, err := identity.Load(identity.Files{CA: filepath.Join(r.PKI, "ca.crt"), Cert: filepath.Join(r.PKI, "provisiond-main.crt"), Key: filepath.Join(r.PKI, "provisiond-main.key")})
	must(r.T, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(r.T, err)
	r.Address = l.Addr().String()
	s := &enrol.Service{Log: slog.New(slog.DiscardHandler), Counters: r.Counters, Registry: r.Registry, Authority: r.Authority.Certificate(), Revoked: func() error { return nil }}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, me, l) }()
	closeStore := r.stop
	r.stop = func() { cancel(); must(r.T, <-done); closeStore() }
}

// Refused is how often a service refused something for a reason.
func (r *Rig) Refused(service, reason string) int {
	return Refused(r.T, r.Counters, service, reason)
}

// Refused is how often a service refused something for a reason.
func Refused(t testing.TB, c *guard.Counters, service, reason string) int {
	t.Helper()
	var m dto.Metric
	must(t, c.Refused.WithLabelValues(service, reason).Write(&m))
	return int(m.Counter.GetValue())
}

// Operator is an operator's certificate.
func (r *Rig) Operator() identity.Files {
	r.T.Helper()
	f, err := identity.Issue(r.PKI, identity.Operator, "me", nil)
	must(r.T, err)
	return f
}

// Stranger is a machine that has a key and nothing else.
func (r *Rig) Stranger(macs ...string) *enrolclient.Stranger {
	r.T.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(r.T, err)
	return &enrolclient.Stranger{Address: r.Address, Fingerprint: identity.AuthorityFingerprint(r.Authority.Certificate()), Key: key,
		Hardware: &api.MachineIdentity{Macs: macs}, Version: Version}
}

// Until polls a condition.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// NoSecret fails if a text holds the password, in whatever form.
func NoSecret(t testing.TB, what, text string) {
	t.Helper()
	if strings.Contains(text, Password) || strings.Contains(text, Password[8:30]) || strings.Contains(text, "password") {
		t.Errorf("%s holds the password:\n%s", what, text)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Errorf("rig: %w", err))
	}
}
