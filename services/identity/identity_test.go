package identity

import (
	"crypto/tls"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// authorityOf makes an authority.
func authorityOf(t *testing.T, cluster string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pki")
	if err := CreateCA(dir, cluster); err != nil {
		t.Fatal(err)
	}
	return dir
}

func issue(t *testing.T, dir string, role Role, id string) *Identity {
	t.Helper()
	f, err := Issue(dir, role, id, []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	i, err := Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// talk sends a byte over TLS and gives the errors of both sides.
func talk(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			defer c.Close()
			if _, err = c.Write([]byte("x")); err == nil {
				_, err = c.Read(make([]byte, 1))
			}
		}
		if err == io.EOF {
			err = nil
		}
		done <- err
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		_, err = c.Read(make([]byte, 1))
		c.Close()
	}
	return <-done, err
}

func TestMachinesOfOneClusterTalk(t *testing.T) {
	dir := authorityOf(t, "lab")
	configd, node := issue(t, dir, Configd, "main"), issue(t, dir, Node, "lb1")
	if node.Name != (Name{"lab", Node, "lb1"}) {
		t.Errorf("%+v", node.Name)
	}
	if serr, cerr := talk(t, configd.Server(Node, Server), node.Client(Configd)); serr != nil || cerr != nil {
		t.Errorf("server %v, client %v", serr, cerr)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	dir := authorityOf(t, "lab")
	configd, node, operator := issue(t, dir, Configd, "main"), issue(t, dir, Node, "lb1"), issue(t, dir, Operator, "me")
	other := issue(t, authorityOf(t, "lab"), Node, "lb1") // same name, another authority
	foreign := issue(t, authorityOf(t, "other"), Node, "lb1")
	bare := node.Client(Configd)
	bare.GetClientCertificate = nil
	blind := func(i *Identity) *tls.Config { // does not care whom it talks to
		c := i.Client()
		c.InsecureSkipVerify, c.VerifyConnection = true, nil
		return c
	}
	for name, c := range map[string]struct {
		server, client *tls.Config
		want           string // in the server's error, or the client's
	}{
		"wrong role":        {configd.Server(Operator), node.Client(Configd), "only these roles are accepted: operator"},
		"another authority": {configd.Server(Node), blind(other), "unknown authority"},
		"another cluster":   {configd.Server(Node), blind(foreign), "certificate"},
		"no certificate":    {configd.Server(Node), bare, "certificate"},
		"no TLS 1.3":        {configd.Server(Node), &tls.Config{MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true}, "version"},
		"false service":     {operator.Server(Node), node.Client(Configd), "only these roles are accepted: configd"},
		"strange service":   {foreign.Server(Node), node.Client(Configd, Node), "unknown authority"},
	} {
		serr, cerr := talk(t, c.server, c.client)
		if serr == nil && cerr == nil {
			t.Errorf("%s: accepted", name)
		} else if all := errText(serr) + errText(cerr); !strings.Contains(all, c.want) {
			t.Errorf("%s: %s", name, all)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error() + "\n"
}

// An authority's key in wrong hands could sign for another cluster's name.
func TestAnotherClustersNameIsRefusedWhoeverSignedIt(t *testing.T) {
	dir := authorityOf(t, "lab")
	configd, node := issue(t, dir, Configd, "main"), issue(t, dir, Node, "lb1")
	configd.Name.Cluster = "other"
	if serr, cerr := talk(t, configd.Server(Node), node.Client(Configd)); serr == nil || !strings.Contains(serr.Error(), "this is cluster other") {
		t.Errorf("server %v, client %v", serr, cerr)
	}
}

func TestACertificateIsForItsAddresses(t *testing.T) {
	dir := authorityOf(t, "lab")
	f, err := Issue(dir, Configd, "main", []string{"10.30.0.2", "config.example"})
	if err != nil {
		t.Fatal(err)
	}
	configd, err := Load(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := talk(t, configd.Server(Node), issue(t, dir, Node, "lb1").Client(Configd)); err == nil || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("called by an address that is not its own: %v", err)
	}
}

func TestKeysAreForTheirOwnerOnlyAndAnAuthorityIsNeverReplaced(t *testing.T) {
	dir := authorityOf(t, "lab")
	issue(t, dir, Node, "lb1")
	for _, name := range []string{"ca.key", "node-lb1.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if err := CreateCA(dir, "lab"); err == nil {
		t.Error("the authority is replaced")
	}
	issue(t, dir, Node, "lb1") // but a certificate is
}

func TestBadNamesAndFilesAreRefused(t *testing.T) {
	dir := authorityOf(t, "lab")
	for _, err := range []error{
		CreateCA(t.TempDir(), "a/b"),
		second(Issue(dir, "boss", "me", nil)),
		second(Issue(dir, Node, "../lb1", nil)),
		second(Issue(t.TempDir(), Node, "lb1", nil)),
		secondOf(Load(Files{CA: filepath.Join(dir, "ca.crt"), Cert: filepath.Join(dir, "ca.crt"), Key: filepath.Join(dir, "ca.key")})),
	} {
		if err == nil {
			t.Error("accepted")
		}
	}
	mine, err := Issue(dir, Node, "lb1", nil)
	if err != nil {
		t.Fatal(err)
	}
	mine.CA = filepath.Join(authorityOf(t, "lab"), "ca.crt")
	if _, err := Load(mine); err == nil || !strings.Contains(err.Error(), "not signed by") {
		t.Errorf("another authority: %v", err)
	}
}

func second(_ Files, err error) error       { return err }
func secondOf(_ *Identity, err error) error { return err }
