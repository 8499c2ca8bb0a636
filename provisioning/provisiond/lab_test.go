package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"weir/provisioning/enrolclient"
	"weir/provisioning/rig"
	"weir/qemu/netns"
	"weir/services/api"
	"weir/services/identity"
)

// asProgram makes the test binary provisiond itself: the tests start it in a
// network namespace.
const asProgram = "WEIR_TEST_PROVISIOND"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	removeLeftovers()
	code := m.Run()
	os.Exit(code)
}

const prefix = "provtest-"

// removeLeftovers removes the namespaces of test processes that were killed.
func removeLeftovers() {
	names, err := netns.List(prefix)
	if err != nil {
		return
	}
	for _, n := range names {
		pid, _, _ := strings.Cut(strings.TrimPrefix(n, prefix), "-")
		if _, err := os.Stat("/proc/" + pid); os.IsNotExist(err) {
			processes, _ := netns.Processes(n)
			for _, p := range processes {
				_ = syscall.Kill(p, syscall.SIGKILL)
			}
			_ = netns.Delete(n)
		}
	}
}

// lab is a provisioning network: a switch, the machine that provisiond runs on,
// one with somebody else's DHCP server, and two that boot.
type lab struct {
	*rig.Rig
	t       *testing.T
	log     *text
	clients map[string]string // MAC address by namespace's last part
}

// MAC addresses of the machines that boot; the first is lb1's.
const (
	mac1 = "52:54:00:00:00:01"
	mac2 = "52:54:00:00:00:02"
)

func (l *lab) ns(name string) string { return fmt.Sprintf("%s%d-%s", prefix, os.Getpid(), name) }

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{Rig: rig.New(t), t: t, log: &text{}, clients: map[string]string{"c1": mac1, "c2": mac2}}
	l.Rig.Close() // the program opens the folder
	for _, name := range []string{"sw", "prov", "dhcp", "c1", "c2"} {
		l.must(netns.Add(l.ns(name)))
		t.Cleanup(func() { l.must(netns.Delete(l.ns(name))) })
	}
	l.must(netns.Bridge(l.ns("sw"), "br0", 1500))
	for _, name := range []string{"prov", "dhcp", "c1", "c2"} {
		l.must(netns.Veth(l.ns("sw"), name, l.ns(name), "eth0", 1500))
		l.must(netns.Enslave(l.ns("sw"), name, "br0"))
	}
	l.must(netns.Address(l.ns("prov"), "eth0", netip.MustParsePrefix("10.40.0.1/24")))
	l.must(netns.Address(l.ns("dhcp"), "eth0", netip.MustParsePrefix("10.40.0.2/24")))
	for name, mac := range l.clients {
		hw, err := net.ParseMAC(mac)
		l.must(err)
		l.must(netns.SetMAC(l.ns(name), "eth0", hw))
	}
	return l
}

// text is what a program wrote until now.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(b)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// start runs a program in a namespace until the test ends.
func (l *lab) start(where string, out *text, cmd *exec.Cmd) {
	l.t.Helper()
	cmd.Stdout, cmd.Stderr = out, out
	l.must(netns.Start(l.ns(where), cmd))
	l.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil && where == "prov" {
			l.t.Errorf("%s ends with %v:\n%s", cmd.Path, err, out)
		}
	})
}

// provisiond starts it with these lines in place of the whole section dhcp.
func (l *lab) provisiond(dhcp string) {
	l.t.Helper()
	l.Write("provisiond.yaml", rig.File+"dhcp:\n"+dhcp)
	cmd := exec.Command(os.Args[0], "--config", filepath.Join(l.Dir, "provisiond.yaml"))
	cmd.Env = append(os.Environ(), asProgram+"=1")
	l.start("prov", l.log, cmd)
	rig.Until(l.t, "provisiond answers", func() bool { _, code := l.get("prov", "http://10.40.0.1:6094/boot.ipxe"); return code == 200 })
}

// dnsmasq is somebody else's DHCP server.
func (l *lab) dnsmasq() {
	l.t.Helper()
	l.start("dhcp", &text{}, exec.Command("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=eth0", "--bind-interfaces",
		"--user=root", "--leasefile-ro", "--pid-file", "--no-ping", "--log-facility=-", "--dhcp-range=10.40.0.50,10.40.0.60,1h"))
}

// get fetches a URL from a namespace; code 0 is no answer.
func (l *lab) get(from, url string) (body string, code int) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 10*time.Second)
	defer cancel()
	out, err := netns.Output(ctx, l.ns(from), "curl", "-s", "-S", "--path-as-is", "-w", "\n%{http_code}", url)
	if err != nil {
		return out, 0
	}
	i := strings.LastIndex(out, "\n")
	_, err = fmt.Sscan(out[i+1:], &code)
	l.must(err)
	return out[:i], code
}

// udhcpc is busybox's DHCP client: what it was told, one variable a line. With a
// kind it says that it is such firmware.
func (l *lab) udhcpc(where string, options ...string) map[string]string {
	l.t.Helper()
	dir := l.t.TempDir()
	script := filepath.Join(dir, "script")
	l.must(os.WriteFile(script, []byte("#!/bin/sh\n[ \"$1\" != bound ] || env > "+dir+"/told\n"), 0o755))
	ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
	defer cancel()
	argv := append([]string{"busybox", "udhcpc", "-f", "-q", "-n", "-t", "10", "-T", "1", "-i", "eth0", "-s", script, "-O", "bootfile", "-O", "tftp", "-O", "vendor"}, options...)
	out, err := netns.Output(ctx, l.ns(where), argv...)
	if err != nil {
		l.t.Fatalf("udhcpc in %s: %v\n%s\nprovisiond:\n%s", where, err, out, l.log)
	}
	b, err := os.ReadFile(filepath.Join(dir, "told"))
	l.must(err)
	told := map[string]string{}
	for line := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		told[k] = v
	}
	return told
}

// use gives a machine the address that it was told.
func (l *lab) use(where, address string) {
	l.t.Helper()
	l.must(netns.Address(l.ns(where), "eth0", netip.MustParsePrefix(address+"/24")))
}

// metric is the sum of the counters whose line begins so.
func (l *lab) metric(begin string) (sum float64) {
	l.t.Helper()
	text, code := l.get("prov", "http://127.0.0.1:9101/metrics")
	if code != http.StatusOK {
		l.t.Fatalf("metrics: %d", code)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, begin) {
			var v float64
			_, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &v)
			l.must(err)
			sum += v
		}
	}
	return sum
}

// stranger is the machine in a namespace, without a certificate, and the folder
// of its key.
func (l *lab) stranger(where string) (*enrolclient.Stranger, string) {
	l.t.Helper()
	s, dir := l.Stranger(l.clients[where]), l.t.TempDir()
	var err error
	s.Key, err = enrolclient.Key(dir)
	l.must(err)
	s.Address, s.Dial = "10.40.0.1:6093", l.dial(where)
	return s, dir
}

func (l *lab) dial(where string) func(context.Context, string) (net.Conn, error) {
	d := netns.Dialer(l.ns(where), net.Dialer{})
	return func(ctx context.Context, address string) (net.Conn, error) { return d(ctx, "tcp", address) }
}

// operator calls provisiond from its own machine.
func (l *lab) operator() api.ProvisionClient {
	l.t.Helper()
	me, err := identity.Load(l.Operator())
	l.must(err)
	conn, err := grpc.NewClient("passthrough:10.40.0.1:6093", grpc.WithContextDialer(l.dial("prov")), grpc.WithTransportCredentials(credentials.NewTLS(me.Client(identity.Provisiond))))
	l.must(err)
	l.t.Cleanup(func() { conn.Close() })
	return api.NewProvisionClient(conn)
}
