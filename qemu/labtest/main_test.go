// Package labtest accepts the whole system as its users see it: real clients,
// router and servers around our programs, in the namespace lab.
package labtest

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/qemu/lab"
	"weir/qemu/lab/labmain"
	"weir/qemu/topology"
	"weir/qemu/traffic"
)

// theLab is the lab under test.
var theLab *lab.Lab

func TestMain(m *testing.M) { labmain.Run(m, lab.New, &theLab) }

// The public endpoints.
func web4() netip.AddrPort { return endpoint("web", false) }
func web6() netip.AddrPort { return endpoint("web", true) }

// test4 and test6 are the endpoint for servers that a test starts itself.
func test4() netip.AddrPort { return endpoint("test", false) }
func test6() netip.AddrPort { return endpoint("test", true) }

func endpoint(name string, v6 bool) netip.AddrPort {
	for _, v := range theLab.Top.VIPs {
		if v.Name == name && v6 {
			return netip.AddrPortFrom(v.Address6, v.Port)
		}
		if v.Name == name {
			return netip.AddrPortFrom(v.Address, v.Port)
		}
	}
	panic("the topology has no endpoint " + name)
}

// client is the client of the lab.
func client() traffic.Client {
	return traffic.Client{Namespace: topology.ClientName, Timeout: 2 * time.Minute}
}

// eventually polls until check returns nil, and fails the test with its last
// error when patience runs out.
func eventually(t *testing.T, patience time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %v", patience, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// within is a context that ends with the test or after d.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// scratch is a directory for one test's captures, removed if it succeeds.
func scratch(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(theLab.Dir, "tests", t.Name())
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			os.RemoveAll(dir)
		}
	})
	return dir
}
