package main

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"time"

	"weir/services/api"
	"weir/services/configd/rig"
	"weir/services/identity"
)

// revoke writes the list of revoked certificates, with that of a node.
func (p *place) revoke(id string) {
	p.t.Helper()
	text, err := os.ReadFile(p.path("pki/node-" + id + ".crt"))
	if err != nil {
		p.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		p.t.Fatal(err)
	}
	a, err := identity.OpenAuthority(p.path("pki"))
	if err != nil {
		p.t.Fatal(err)
	}
	list, err := a.RevocationList(1, []identity.Revoked{{Serial: c.SerialNumber, At: time.Now()}})
	if err == nil {
		err = os.WriteFile(p.path("revoked.crl"), list, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func TestARevokedNodeCannotJoin(t *testing.T) {
	p := newPlace(t)
	text, err := os.ReadFile(p.path("configd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path("configd.yaml"), append(text, "revoked: revoked.crl\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	stolen, other := p.client(identity.Node, "lb1"), p.client(identity.Node, "lb2")
	report := func(c api.ConfigClient) error {
		_, err := c.Report(t.Context(), &api.Registration{Version: "1"})
		return err
	}
	p.revoke("lb1")
	p.start()
	rig.Until(t, "another node is answered", func() bool { return report(other) == nil })
	if err := report(stolen); err == nil || strings.Contains(err.Error(), "refused") {
		t.Errorf("a revoked node reports itself: %v", err)
	}
}
