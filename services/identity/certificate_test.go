package identity

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestARenewedCertificateIsShownWithoutARestart(t *testing.T) {
	dir := authorityOf(t, "lab")
	configd, node := issue(t, dir, Configd, "main"), issue(t, dir, Node, "lb1")
	client, before := node.Client(Configd), node.Certificate().SerialNumber
	shown := func() string {
		t.Helper()
		server := configd.Server(Node)
		var serial string
		judge := server.VerifyConnection
		server.VerifyConnection = func(s tls.ConnectionState) error {
			serial = s.PeerCertificates[0].SerialNumber.String()
			return judge(s)
		}
		if serr, cerr := talk(t, server, client); serr != nil || cerr != nil {
			t.Fatal(serr, cerr)
		}
		return serial
	}
	if got := shown(); got != before.String() {
		t.Errorf("%s, want %s", got, before)
	}
	files, err := Issue(dir, Node, "lb1", []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	node.pair.looked = time.Time{} // as after a second
	after := shown()
	if after == before.String() {
		t.Error("the old certificate is shown")
	}
	// What cannot be used, and somebody else's, changes nothing.
	foreign, err := Issue(dir, Node, "lb2", nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(foreign.Cert)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(foreign.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range [][]byte{[]byte("garbage"), text} {
		for path, b := range map[string][]byte{files.Cert: content, files.Key: key} {
			if err := os.WriteFile(filepath.Clean(path), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		node.pair.looked = time.Time{}
		if got := shown(); got != after {
			t.Errorf("%s, want %s", got, after)
		}
	}
}
