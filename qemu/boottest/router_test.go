package boottest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// frr is a real router on the host's loopback, which is the gateway of the
// node's north. It learns routes and forwards nothing.
type frr struct {
	t    *testing.T
	dir  string
	port int
}

// startRouter starts FRR's bgpd, which ends with the test.
func startRouter(t *testing.T) *frr {
	t.Helper()
	port := freePort(t)
	dir, err := os.MkdirTemp("", "weir-frr") // a short path: its sockets lie there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &frr{t: t, dir: dir, port: port}
	conf := filepath.Join(dir, "bgpd.conf")
	text := `router bgp 65000
 bgp router-id 10.10.0.1
 no bgp ebgp-requires-policy
 neighbor LB peer-group
 neighbor LB remote-as 65001
 neighbor LB timers 1 3
 neighbor LB disable-connected-check
 bgp listen range 127.0.0.0/8 peer-group LB
`
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	r.own(dir, conf)
	var out bytes.Buffer
	cmd := exec.Command("/usr/lib/frr/bgpd", "-f", conf, "-n", "-Z", "-l", "127.0.0.1", "-p", strconv.Itoa(port), "-P", "0",
		"-i", filepath.Join(dir, "bgpd.pid"), "--vty_socket", dir, "--log", "stdout")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("bgpd: %v; make deps installs FRR", err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Logf("bgpd said:\n%s", out.String())
		}
	})
	eventually(t, 10*time.Second, func() error {
		_, err := os.Stat(filepath.Join(dir, "bgpd.vty"))
		return err
	})
	return r
}

// own gives files to FRR, which drops its rights.
func (r *frr) own(paths ...string) {
	r.t.Helper()
	u, err := user.Lookup("frr")
	if err != nil {
		r.t.Fatalf("%v; make deps installs FRR", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	for _, p := range paths {
		if err := os.Chown(p, uid, gid); err != nil {
			r.t.Fatal(err)
		}
	}
}

// nextHops are those that the router has learnt for the public address.
func (r *frr) nextHops() ([]string, error) {
	out, err := exec.Command("vtysh", "--vty_socket", r.dir, "-d", "bgpd", "-c", "show bgp ipv4 unicast "+publicAddress+"/32 json").Output()
	if err != nil {
		return nil, fmt.Errorf("ask the router: %w: %s", err, out)
	}
	var got struct {
		Paths []struct {
			Nexthops []struct{ IP string }
		}
	}
	if err := json.Unmarshal(out, &got); err != nil {
		return nil, fmt.Errorf("ask the router: %w: %s", err, out)
	}
	var hops []string
	for _, p := range got.Paths {
		for _, h := range p.Nexthops {
			hops = append(hops, h.IP)
		}
	}
	return hops, nil
}

// awaitRoute waits until the router has a route over the node.
func (r *frr) awaitRoute(patience time.Duration) error {
	return poll(patience, func() error {
		hops, err := r.nextHops()
		if err == nil && (len(hops) == 0 || hops[0] != northAddress) {
			err = fmt.Errorf("the router's next hops are %v", hops)
		}
		return err
	})
}

// withdrawn waits until it has none.
func (r *frr) withdrawn(patience time.Duration) {
	r.t.Helper()
	eventually(r.t, patience, func() error {
		hops, err := r.nextHops()
		if err == nil && len(hops) > 0 {
			err = fmt.Errorf("the router's next hops are %v", hops)
		}
		return err
	})
}

// freePort is a TCP port of the loopback on which nothing listens.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
