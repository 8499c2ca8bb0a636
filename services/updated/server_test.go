package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"weir/provisioning/enrolclient"
	"weir/provisioning/machines"
	"weir/provisioning/rig"
	"weir/services/api"
	"weir/services/identity"
)

func TestOnlyAMachineThatProvisiondBootsTellsItHowItDoes(t *testing.T) {
	ca := strings.Repeat("ab", 32)
	for line, want := range map[string]bool{
		"weir.slot=net weir.enrol=10.40.0.1:6093 weir.enrol_ca=" + ca: true,
		"weir.slot=a weir.enrol=10.40.0.1:6093 weir.enrol_ca=" + ca:   false,
		"weir.slot=net":                     false,
		"weir.slot=net weir.enrol=nonsense": false,
		"":                                  false,
	} {
		if got := servedBy(line, t.TempDir()) != nil; got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestProvisiondHearsHowAVersionDoesOnceTheMachineIsEnrolled(t *testing.T) {
	r := rig.New(t)
	r.Serve()
	p := provisiond{t.TempDir(), filepath.Join(t.TempDir(), "installed")}
	if _, err := p.Booted(t.Context(), rig.Version, ""); err == nil || err.Error() != "this machine is not enrolled yet" {
		t.Errorf("%v", err)
	}
	m := &enrolclient.Machine{Dir: p.dir, Address: r.Address, Fingerprint: identity.AuthorityFingerprint(r.Authority.Certificate()),
		Hardware: enrolclient.Hardware([]string{"52:54:00:00:00:01"}, "", ""), Version: rig.Version}
	me, err := identity.Load(r.Operator())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:"+r.Address, grpc.WithTransportCredentials(credentials.NewTLS(me.Client(identity.Provisiond))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = m.Join(t.Context(), func(fingerprint string, err error) {
		if _, err := api.NewProvisionClient(conn).Approve(t.Context(), &api.ApproveRequest{Machine: fingerprint}); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Registry.Boot(machines.Hardware{MACs: []string{"52:54:00:00:00:01"}}); err != nil {
		t.Fatal(err)
	}
	if err := r.Registry.Taken("node lb1", rig.Version); err != nil {
		t.Fatal(err)
	}
	installed := func() bool {
		list, _ := r.Registry.List(time.Now())
		return list[0].Boot != nil && list[0].Boot.Installed
	}
	if committed, err := p.Booted(t.Context(), rig.Version, ""); err != nil || committed != rig.Version || installed() {
		t.Errorf("%s, %v, installed %v", committed, err, installed())
	}
	if err := os.WriteFile(p.installed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Booted(t.Context(), rig.Version, "sick"); err != nil || installed() {
		t.Errorf("a sick version: %v, installed %v", err, installed())
	}
	if _, err := p.Booted(t.Context(), rig.Version, ""); err != nil || !installed() {
		t.Errorf("a good one: %v, installed %v", err, installed())
	}
}
