package bgp

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/qemu/netns/nstest"
)

// TestMain runs the tests in a fresh network namespace, where the source
// addresses of all nodes can be had.
func TestMain(m *testing.M) { nstest.Single(m) }

// frr is a real router in a namespace of its own, joined to ours by a veth pair.
type frr struct {
	t  *testing.T
	ns string
	vt string // folder of the vty sockets
}

func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// startFRR starts a router that expects password, with GTSM when gtsm is true.
func startFRR(t *testing.T, password string, gtsm bool) *frr {
	t.Helper()
	// Not t.TempDir: its parent is closed to the user frr.
	vt, err := os.MkdirTemp("", "wct-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(vt) })
	r := &frr{t: t, ns: fmt.Sprintf("wct-%d", os.Getpid()), vt: vt}
	run(t, "ip", "netns", "add", r.ns)
	t.Cleanup(func() { run(t, "ip", "netns", "del", r.ns) })
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "ip", "link", "add", "north", "type", "veth", "peer", "name", "nodes", "netns", r.ns)
	t.Cleanup(func() { run(t, "ip", "link", "del", "north") })
	for _, a := range []string{"11", "12", "13", "102", "103", "104", "105", "106", "107"} {
		run(t, "ip", "address", "add", "10.10.0."+a+"/24", "dev", "north")
	}
	run(t, "ip", "link", "set", "north", "up")
	for _, args := range [][]string{
		{"link", "set", "lo", "up"}, {"address", "add", "10.10.0.1/24", "dev", "nodes"},
		{"-6", "address", "add", "2001:db8:10::1/64", "dev", "nodes", "nodad"}, {"link", "set", "nodes", "up"},
	} {
		run(t, append([]string{"ip", "-n", r.ns}, args...)...)
	}
	run(t, "chown", "frr:frr", r.vt) // the daemons give their rights up
	conf := filepath.Join(r.vt, "frr.conf")
	text := `hostname router
router bgp 65000
 bgp router-id 10.10.0.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp bestpath as-path multipath-relax
 neighbor LB peer-group
 neighbor LB remote-as 65001
 neighbor LB timers 1 3
`
	if password != "" {
		text += " neighbor LB password " + password + "\n"
	}
	if gtsm {
		text += " neighbor LB ttl-security hops 1\n"
	}
	text += ` bgp listen range 10.10.0.0/24 peer-group LB
 address-family ipv4 unicast
  neighbor LB activate
  maximum-paths 64
 exit-address-family
 address-family ipv6 unicast
  neighbor LB activate
  maximum-paths 64
 exit-address-family
`
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	zserv := filepath.Join(r.vt, "zserv")
	r.daemon("zebra", "-f", conf, "-z", zserv)
	r.daemon("bgpd", "-f", conf, "-z", zserv)
	return r
}

// daemon runs one FRR program until the test ends, and waits until it answers.
func (r *frr) daemon(name string, args ...string) {
	r.t.Helper()
	var out bytes.Buffer
	cmd := exec.Command("ip", append([]string{"netns", "exec", r.ns, "/usr/lib/frr/" + name,
		"-i", filepath.Join(r.vt, name+".pid"), "--vty_socket", r.vt, "--log", "stdout"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		r.t.Fatalf("%s: %v; make deps installs FRR", name, err)
	}
	r.t.Cleanup(func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() })
	r.eventually(10*time.Second, name+" answers", func() string {
		if _, err := os.Stat(filepath.Join(r.vt, name+".vty")); err != nil {
			return err.Error() + ": " + out.String()
		}
		return ""
	})
}

func (r *frr) vtysh(command string) string {
	out, err := exec.Command("vtysh", "--vty_socket", r.vt, "-c", command).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return string(out)
}

// kernelRoute is the route that the router's kernel has, in one line.
func (r *frr) kernelRoute(prefix string) string {
	args := []string{"-n", r.ns, "route", "show", prefix}
	if strings.Contains(prefix, ":") {
		args = append([]string{"-6"}, args...)
	}
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

// eventually waits until check finds nothing wrong.
func (r *frr) eventually(limit time.Duration, what string, check func() string) {
	r.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		wrong := check()
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: not within %v:\n%s", what, limit, wrong)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
