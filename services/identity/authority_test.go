package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAnAuthoritySignsForAKeyThatItNeverSees(t *testing.T) {
	dir := authorityOf(t, "lab")
	a, err := OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := a.Sign(Node, "lb9", []string{"127.0.0.1"}, key.Public(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := nameOf(c); err != nil || n != (Name{"lab", Node, "lb9"}) || time.Until(c.NotAfter) > time.Hour {
		t.Errorf("%v, %v, until %s", n, err, c.NotAfter)
	}
	if _, err := a.Sign(Node, "../x", nil, key.Public(), time.Hour); err == nil {
		t.Error("a bad id is signed")
	}
	list, err := a.RevocationList(1, []Revoked{{big.NewInt(7), time.Now()}})
	if err != nil {
		t.Fatal(err)
	}
	crl, err := x509.ParseRevocationList(list)
	if err != nil || crl.CheckSignatureFrom(a.cert) != nil || len(crl.RevokedCertificateEntries) != 1 {
		t.Errorf("%+v, %v", crl, err)
	}
}

func TestAPinnedAuthorityIsTheOnlyOneThatIsTrusted(t *testing.T) {
	dir := authorityOf(t, "lab")
	a, err := OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	host := issue(t, dir, Provisiond, "main")
	server := func(i *Identity) *tls.Config {
		c := WithAuthority(i.Server(Node), a.Certificate())
		c.ClientAuth, c.VerifyConnection = tls.NoClientCert, nil
		return c
	}
	pin := AuthorityFingerprint(a.Certificate())
	if serr, cerr := talk(t, server(host), Pinned(pin, "127.0.0.1", Provisiond)); serr != nil || cerr != nil {
		t.Errorf("server %v, client %v", serr, cerr)
	}
	stranger := issue(t, authorityOf(t, "lab"), Provisiond, "main")
	for name, c := range map[string]struct {
		server *tls.Config
		client *tls.Config
		want   string
	}{
		"another authority":               {server(host), Pinned(strings.Repeat("0", 64), "127.0.0.1", Provisiond), "whose authority is expected"},
		"another role":                    {server(issue(t, dir, Node, "lb1")), Pinned(pin, "127.0.0.1", Provisiond), "only these roles"},
		"another address":                 {server(host), Pinned(pin, "10.9.9.9", Provisiond), "10.9.9.9"},
		"a stranger with our authority's": {server(stranger), Pinned(pin, "127.0.0.1", Provisiond), "unknown authority"},
		"no authority shown":              {host.Server(Node), Pinned(pin, "127.0.0.1", Provisiond), "whose authority is expected"},
	} {
		if _, err := talk(t, c.server, c.client); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARevokedCertificateIsRefusedAsSoonAsTheListSaysSo(t *testing.T) {
	dir := authorityOf(t, "lab")
	a, err := OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	configd, node, other := issue(t, dir, Configd, "main"), issue(t, dir, Node, "lb1"), issue(t, dir, Node, "lb2")
	path := filepath.Join(t.TempDir(), "revoked.crl")
	list, err := ReadRevocations(path, filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	configd.Refuse(list)
	write := func(by *Authority, serials ...*big.Int) {
		t.Helper()
		var revoked []Revoked
		for _, s := range serials {
			revoked = append(revoked, Revoked{s, time.Now()})
		}
		der, err := by.RevocationList(time.Now().UnixNano(), revoked)
		if err == nil {
			err = os.WriteFile(path+".new", der, 0o644)
		}
		if err == nil {
			err = os.Rename(path+".new", path)
		}
		if err != nil {
			t.Fatal(err)
		}
		list.looked = time.Time{} // as after a second
	}
	joins := func(i *Identity) bool {
		t.Helper()
		serr, _ := talk(t, configd.Server(Node), i.Client(Configd))
		if serr != nil && !strings.Contains(serr.Error(), "revoked") {
			t.Fatal(serr)
		}
		return serr == nil
	}
	if !joins(node) {
		t.Error("refused without a list")
	}
	write(a, node.Certificate().SerialNumber)
	if joins(node) || !joins(other) {
		t.Error("the list does not decide")
	}
	// Somebody else's list, and garbage: the last good one stays.
	foreign, err := OpenAuthority(authorityOf(t, "lab"))
	if err != nil {
		t.Fatal(err)
	}
	write(foreign, other.Certificate().SerialNumber)
	if joins(node) || !joins(other) {
		t.Error("another authority's list counts")
	}
	if _, err := ReadRevocations(path, filepath.Join(dir, "ca.crt")); err == nil || !strings.Contains(err.Error(), "no list of the cluster's authority") {
		t.Errorf("%v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	list.looked = time.Time{}
	if joins(node) {
		t.Error("a list that is gone sets free")
	}
	write(a)
	if !joins(node) {
		t.Error("refused although the list is empty")
	}
}
