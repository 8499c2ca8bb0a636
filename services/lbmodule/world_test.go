package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/qemu/netns"
	"weir/services/api"
)

// The world of these tests: a server and, in another namespace, clients behind
// one LB node that the test plays itself (fake_test.go).
//
//	mt-srv: eth0 10.9.0.101 ── p0 ┐
//	mt-node:                      br0
//	mt-node: fab 10.9.0.1  ── p1 ┘   tun0 198.18.0.10, the clients' only way
//
// p1 has no offloads, so what reaches fab was cut and checksummed before.
//
// The namespaces' real names carry this process's number, so two runs at a
// time do not meet.
var (
	serverNS = fmt.Sprintf("mt-srv-%d", os.Getpid())
	nodeNS   = fmt.Sprintf("mt-node-%d", os.Getpid())
)

const (
	serverAddr = "10.9.0.101"
	vip4       = "203.0.113.9"
	vip6       = "2001:db8:9::9"
)

type world struct {
	t      *testing.T
	dir    string
	config string
	agent  *exec.Cmd
	node   *fakeNode
	log    *os.File // of all agents
}

// logged is what the agents have logged so far.
func (w *world) logged() string {
	b, err := os.ReadFile(w.log.Name())
	w.must(err)
	return string(b)
}

const clusterYAML = `
cluster: {name: test, id: 1}
key_file: cluster.key
nodes:
  - {id: lb1, number: 1, north: 10.8.0.1, north6: "2001:db8:8::1", south: 10.9.0.1}
servers:
  - {id: srv1, number: 1, address: 10.9.0.101}
endpoints:
  - {name: web, addresses: [203.0.113.9, "2001:db8:9::9"], ports: 7000}
admission: {thresholds: []}
`

const moduleYAML = `
server: srv1
cluster_file: cluster.yaml
run_dir: run
bpf_dir: %s
uplink: eth0
capacity: {connections: 4096}
`

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir()}
	var err error
	w.log, err = os.Create(filepath.Join(w.dir, "log"))
	w.must(err)
	t.Cleanup(func() { w.log.Close() })
	w.must(netns.Delete(serverNS), netns.Delete(nodeNS))
	w.must(netns.Add(serverNS), netns.Add(nodeNS))
	t.Cleanup(func() {
		if t.Failed() {
			w.describe()
		}
		w.stop(syscall.SIGKILL)
		if w.config != "" {
			w.uninstall()
		}
		w.must(netns.Delete(serverNS), netns.Delete(nodeNS))
	})
	w.sh(serverNS, "ip link add eth0 type veth peer name p0 netns "+nodeNS)
	w.sh(serverNS, "ip link set eth0 addrgenmode none; ip addr add "+serverAddr+"/24 dev eth0; ip link set eth0 up")
	w.sh(nodeNS, `ip link add br0 type bridge; ip link add fab type veth peer name p1
		ip link set p0 master br0 up; ip link set p1 master br0 up; ip link set br0 up
		ip addr add 10.9.0.1/24 dev fab; ip link set fab up`)
	w.must(netns.OffloadsOff(nodeNS, "p1"))
	w.eventually("server and node reach each other", func() bool {
		d := netns.Dialer(nodeNS, net.Dialer{Timeout: 300 * time.Millisecond})
		_, err := d(context.Background(), "tcp", serverAddr+":1")
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	pins := "/sys/fs/bpf/weir-mt-" + filepath.Base(w.dir)
	w.write("cluster.yaml", clusterYAML)
	w.write("cluster.key", strings.Repeat("5a", 32))
	w.config = w.write("module.yaml", fmt.Sprintf(moduleYAML, pins))
	w.node = newFakeNode(w)
	return w
}

// describe says what can be known of a failure.
func (w *world) describe() {
	w.t.Logf("the agent's log:\n%s", w.logged())
	if b, err := w.admin("GET", "/status"); err == nil {
		w.t.Logf("the agent's status:\n%s", b)
	}
	if w.node == nil {
		return
	}
	w.node.mu.Lock()
	defer w.node.mu.Unlock()
	for i := range w.node.received {
		m := &w.node.received[i]
		w.t.Logf("from the module: type %d, reason %d, offer %d, %s", m.Type, m.Reason, m.Offer, m.Key)
	}
}

func (w *world) must(errs ...error) {
	w.t.Helper()
	if err := errors.Join(errs...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(name, text string) string {
	path := filepath.Join(w.dir, name)
	w.must(os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (w *world) sh(ns, script string) string {
	w.t.Helper()
	out, err := netns.Output(context.Background(), ns, "sh", "-ec", script)
	if err != nil {
		w.t.Fatalf("%s: %v: %s", script, err, out)
	}
	return out
}

// start starts an agent and waits until it is ready.
func (w *world) start() {
	w.t.Helper()
	w.agent = exec.Command("/proc/self/exe", "--config", w.config)
	w.agent.Env = append(os.Environ(), asProgram+"=1")
	w.agent.Stdout, w.agent.Stderr = w.log, w.log
	w.must(netns.Start(serverNS, w.agent))
	w.eventually("the agent answers", func() bool { _, err := w.status(); return err == nil })
	w.node.introduce()
}

// stop ends the agent with a signal.
func (w *world) stop(s syscall.Signal) {
	if w.agent == nil {
		return
	}
	_ = w.agent.Process.Signal(s)
	_ = w.agent.Wait()
	w.agent = nil
}

// command runs the program to its end and returns what it wrote to stderr.
func (w *world) command(args ...string) (stderr string, code int) {
	w.t.Helper()
	c := exec.Command("/proc/self/exe", args...)
	c.Env = append(os.Environ(), asProgram+"=1")
	var b bytes.Buffer
	c.Stderr = &b
	w.must(netns.Start(serverNS, c))
	_ = c.Wait()
	return b.String(), c.ProcessState.ExitCode()
}

func (w *world) uninstall() {
	w.t.Helper()
	if out, code := w.command("uninstall", "--config", w.config); code != 0 {
		w.t.Errorf("uninstall: exit code %d: %s", code, out)
	}
}

// admin asks the agent on its Unix socket.
func (w *world) admin(method, path string) ([]byte, error) {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(w.dir, "run", "lbmodule.sock"))
		},
	}}
	r, err := http.NewRequest(method, "http://module"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 400 {
		err = fmt.Errorf("%s: %s", resp.Status, b)
	}
	return b, err
}

func (w *world) status() (*api.ModuleStatus, error) {
	b, err := w.admin("GET", "/status")
	if err != nil {
		return nil, err
	}
	s := &api.ModuleStatus{}
	return s, json.Unmarshal(b, s)
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	w.within(10*time.Second, what, ok)
}

func (w *world) within(limit time.Duration, what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within %s: %s\n%s", limit, what, w.logged())
		}
	}
}

// listen opens a listener on the server, for all its addresses.
func (w *world) listen(serve func(net.Conn)) net.Listener {
	w.t.Helper()
	l, err := netns.Listen(serverNS, "tcp", ":7000")
	w.must(err)
	w.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l
}

// dial connects as a client, through the fake node.
func (w *world) dial(vip string) net.Conn {
	w.t.Helper()
	c, err := w.tryDialFor(vip, 10000)
	w.must(err)
	w.t.Cleanup(func() { c.Close() })
	w.must(c.SetDeadline(time.Now().Add(20 * time.Second)))
	return c
}

func (w *world) tryDialFor(vip string, ms int) (net.Conn, error) {
	d := netns.Dialer(nodeNS, net.Dialer{Timeout: time.Duration(ms) * time.Millisecond})
	return d(context.Background(), "tcp", netip.AddrPortFrom(netip.MustParseAddr(vip), 7000).String())
}

// refused reports whether a connection is reset before a byte of it arrives;
// the reset may be faster than the client's connect.
func (w *world) refused(vip string) bool {
	w.t.Helper()
	c, err := w.tryDialFor(vip, 10000)
	if err != nil {
		return errors.Is(err, syscall.ECONNRESET)
	}
	defer c.Close()
	w.must(c.SetDeadline(time.Now().Add(10 * time.Second)))
	_, err = c.Read(make([]byte, 1))
	return errors.Is(err, syscall.ECONNRESET)
}
