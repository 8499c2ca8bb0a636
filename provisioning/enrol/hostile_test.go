package enrol_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"weir/provisioning/machines"
	"weir/services/api"
	"weir/services/identity"
)

func TestBadRequestsAreRefusedAndCounted(t *testing.T) {
	r := served(t)
	good := r.Stranger("52:54:00:00:00:01")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	csr := func(k crypto.Signer) []byte {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "operator root"}}, k)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	forged := csr(good.Key)
	forged[len(forged)-1] ^= 1
	anonymous, err := grpc.NewClient("passthrough:"+r.Address, grpc.WithTransportCredentials(credentials.NewTLS(identity.Pinned(good.Fingerprint, "127.0.0.1", identity.Provisiond))))
	if err != nil {
		t.Fatal(err)
	}
	defer anonymous.Close()
	for name, q := range map[string]*api.EnrolRequest{
		"no request":         {},
		"garbage":            {Csr: []byte("garbage")},
		"a long request":     {Csr: make([]byte, machines.MaxCSR+1)},
		"a weak key":         {Csr: csr(weak)},
		"not signed by it":   {Csr: forged},
		"a bad MAC address":  {Csr: csr(good.Key), Identity: &api.MachineIdentity{Macs: []string{"../../etc"}}},
		"many addresses":     {Csr: csr(good.Key), Identity: &api.MachineIdentity{Macs: slices.Repeat([]string{"52:54:00:00:00:01"}, 17)}},
		"a control sequence": {Csr: csr(good.Key), Identity: &api.MachineIdentity{Serial: "\x1b[2J"}},
		"a bad UUID":         {Csr: csr(good.Key), Identity: &api.MachineIdentity{Uuid: strings.Repeat("a", 36)}},
		"a bad version":      {Csr: csr(good.Key), Version: "1\n2"},
	} {
		if _, err := api.NewProvisionClient(anonymous).Enrol(t.Context(), q); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := r.Refused("enrol", "malformed"); n != 10 {
		t.Errorf("%d refusals are counted", n)
	}
	if _, err := api.NewProvisionClient(anonymous).Enrol(t.Context(), &api.EnrolRequest{Csr: make([]byte, 64<<10)}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("an oversized message: %v", err)
	}
	if l, _ := r.Registry.List(time.Now()); len(l) != 0 {
		t.Errorf("%d machines wait", len(l))
	}
}

func TestAClientThatAsksTooOftenIsHeldBack(t *testing.T) {
	r := served(t)
	s := r.Stranger("52:54:00:00:00:01")
	var last error
	for range 40 {
		if _, err := s.Ask(t.Context()); err != nil {
			last = err
			break
		}
	}
	if status.Code(last) != codes.ResourceExhausted || r.Refused("enrol", "too_many_requests") == 0 {
		t.Errorf("%v", last)
	}
}
