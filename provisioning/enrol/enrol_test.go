package enrol_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"weir/provisioning/enrolclient"
	"weir/provisioning/rig"
	"weir/services/api"
	"weir/services/identity"
)

func served(t *testing.T) *rig.Rig {
	r := rig.New(t)
	r.Serve()
	return r
}

// operator calls the service as an operator.
func operator(r *rig.Rig) api.ProvisionClient {
	r.T.Helper()
	return as(r, r.Operator())
}

func as(r *rig.Rig, f identity.Files) api.ProvisionClient {
	r.T.Helper()
	me, err := identity.Load(f)
	if err != nil {
		r.T.Fatal(err)
	}
	c, err := grpc.NewClient("passthrough:"+r.Address, grpc.WithTransportCredentials(credentials.NewTLS(me.Client(identity.Provisiond))))
	if err != nil {
		r.T.Fatal(err)
	}
	r.T.Cleanup(func() { c.Close() })
	return api.NewProvisionClient(c)
}

// join leads a machine through enrolment: it keeps its files in dir.
func join(r *rig.Rig, s *enrolclient.Stranger, as, dir string) *enrolclient.Member {
	r.T.Helper()
	e, err := s.Ask(r.T.Context())
	if err != nil || e.State != api.EnrolState_ENROL_PENDING || e.Certificate != nil {
		r.T.Fatalf("%v, %v", e, err)
	}
	if own, err := enrolclient.Fingerprint(s.Key); err != nil || own != e.Fingerprint {
		r.T.Fatalf("the machine shows %s, the service %s", own, e.Fingerprint)
	}
	if _, err := operator(r).Approve(r.T.Context(), &api.ApproveRequest{Machine: e.Fingerprint[:12], Role: "node", Id: as}); err != nil {
		r.T.Fatal(err)
	}
	if e, err = s.Enrol(r.T.Context(), nil); err != nil {
		r.T.Fatal(err)
	}
	return member(r, s.Key, e, dir)
}

func member(r *rig.Rig, key crypto.Signer, e *api.Enrolment, dir string) *enrolclient.Member {
	r.T.Helper()
	if err := enrolclient.Save(dir, key, e); err != nil {
		r.T.Fatal(err)
	}
	me, err := identity.Load(enrolclient.Files(dir))
	if err != nil {
		r.T.Fatal(err)
	}
	return &enrolclient.Member{Address: r.Address, Me: me}
}

// machine is a stranger whose key is in a folder, as on a machine.
func machine(r *rig.Rig, mac string) (*enrolclient.Stranger, string) {
	r.T.Helper()
	s, dir := r.Stranger(mac), filepath.Join(r.T.TempDir(), "identity")
	key, err := enrolclient.Key(dir)
	if err != nil {
		r.T.Fatal(err)
	}
	s.Key = key
	return s, dir
}

func TestAMachineJoinsRenewsAndIsRevoked(t *testing.T) {
	r := served(t)
	s, dir := machine(r, "52:54:00:00:00:01")
	m := join(r, s, "", dir)
	if m.Me.Name != (identity.Name{Cluster: "lab", Role: identity.Node, ID: "lb1"}) {
		t.Errorf("it is %s", m.Me.Name)
	}
	c, err := m.Configuration(t.Context())
	if err != nil || !strings.Contains(c.NodeYaml, rig.Password) || c.Version != rig.Version || c.Install {
		t.Errorf("%v, %v", c, err)
	}
	renewed, err := m.Renew(t.Context(), s.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(renewed.Certificate)
	if err != nil || cert.VerifyHostname("10.20.0.11") != nil {
		t.Errorf("%v: its certificate is for %s", err, cert.IPAddresses)
	}
	again := member(r, s.Key, renewed, dir)
	if at, err := enrolclient.RenewAt(renewed.Certificate); err != nil || time.Until(at) < 200*24*time.Hour || time.Until(at) > 300*24*time.Hour {
		t.Errorf("renew at %s, %v", at, err)
	}

	// After a restart of the service nobody has to approve anything.
	r.Open()
	r.Serve()
	s.Address, again.Address = r.Address, r.Address
	if e, err := s.Ask(t.Context()); err != nil || e.State != api.EnrolState_ENROL_APPROVED {
		t.Errorf("%v, %v", e, err)
	}

	if _, err := operator(r).Revoke(t.Context(), &api.RevokeRequest{Machine: "lb1"}); err != nil {
		t.Fatal(err)
	}
	refused := map[string]error{}
	_, refused["Enrol"] = s.Ask(t.Context())
	_, refused["Configuration"] = again.Configuration(t.Context())
	_, refused["Renew"] = again.Renew(t.Context(), s.Key)
	_, refused["Booted"] = again.Booted(t.Context(), rig.Version, "", false)
	for what, err := range refused {
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s of a revoked machine: %v", what, err)
		}
	}
	if n := r.Refused("enrol", "revoked_or_strange"); n != 4 {
		t.Errorf("%d refusals are counted", n)
	}
	if n := len(r.Registry.RevokedCertificates()); n != 2 {
		t.Errorf("%d certificates are revoked, it had 2", n)
	}
	r.Open()
	if n := len(r.Registry.RevokedCertificates()); n != 2 {
		t.Errorf("after a restart %d certificates are revoked", n)
	}
	r.Serve()
	s.Address = r.Address
	if _, err := s.Enrol(t.Context(), nil); err == nil {
		t.Error("a revoked machine waits for ever")
	}
}

func TestOnlyTheHolderOfACertificateGetsItsConfiguration(t *testing.T) {
	r := served(t)
	s, dir := machine(r, "52:54:00:00:00:01")
	m := join(r, s, "lb1", dir)
	pending := r.Stranger("52:54:00:00:00:09")
	if _, err := pending.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Nobody, by hand: without a certificate, with those of other roles, with one that
	// the authority gave to another key for the same name.
	anonymous, err := grpc.NewClient("passthrough:"+r.Address, grpc.WithTransportCredentials(credentials.NewTLS(identity.Pinned(pending.Fingerprint, "127.0.0.1", identity.Provisiond))))
	if err != nil {
		t.Fatal(err)
	}
	defer anonymous.Close()
	byHand, err := identity.Issue(r.PKI, identity.Node, "lb1", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		client api.ProvisionClient
		want   codes.Code
	}{
		"without a certificate":    {api.NewProvisionClient(anonymous), codes.Unauthenticated},
		"an operator":              {operator(r), codes.PermissionDenied},
		"another key for the name": {as(r, byHand), codes.PermissionDenied},
	} {
		a, err := c.client.Configuration(t.Context(), &api.ConfigurationRequest{})
		if status.Code(err) != c.want || a != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			rig.NoSecret(t, name, err.Error())
		}
	}
	// The same request, caught on the wire, is good for nothing but the certificate.
	e, err := s.Ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rig.NoSecret(t, "an enrolment", e.String())
	// A machine may not operate, nor renew for another key.
	node := as(r, enrolclient.Files(dir))
	if _, err := node.Approve(t.Context(), &api.ApproveRequest{Machine: "52:54:00:00:00:09", Id: "lb2"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a node approves: %v", err)
	}
	if _, err := node.Machines(t.Context(), &api.MachinesRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a node lists: %v", err)
	}
	if _, err := m.Renew(t.Context(), pending.Key); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("renewed for another key: %v", err)
	}
	if c, err := grpc.NewClient("passthrough:"+r.Address, grpc.WithTransportCredentials(insecure.NewCredentials())); err == nil {
		defer c.Close()
		if _, err := api.NewProvisionClient(c).Enrol(t.Context(), &api.EnrolRequest{}); err == nil {
			t.Error("enrolment without TLS")
		}
	}
}

func TestAMachineDoesNotTalkToAStrangeService(t *testing.T) {
	r, other := served(t), served(t)
	s := r.Stranger("52:54:00:00:00:01")
	s.Address = other.Address
	if _, err := s.Ask(t.Context()); err == nil || !strings.Contains(err.Error(), "whose authority is expected") {
		t.Errorf("%v", err)
	}
	if l, err := operator(other).Machines(t.Context(), &api.MachinesRequest{}); err != nil || len(l.List) != 0 {
		t.Errorf("%v, %v", l, err)
	}
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	r := served(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := fmt.Errorf("enough")
	_, err := r.Stranger("52:54:00:00:00:01").Enrol(ctx, func(*api.Enrolment, error) { cancel(enough) })
	if err != enough {
		t.Errorf("%v", err)
	}
}
