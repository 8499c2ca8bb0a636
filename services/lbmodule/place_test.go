package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"weir/dataplane/packet"
	"weir/dataplane/wire"
	"weir/qemu/netns"
	"weir/services/program"
)

// networking is everything of the server's that the module could have changed.
func (w *world) networking() string {
	return w.sh(serverNS, `ip -o addr; ip -o link | sed 's/state [A-Z]*//'; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all | grep -v fe80
		tc qdisc show; tc filter show dev eth0 ingress || true; bpftool net show dev eth0 | grep -E 'weir|tcx' || true
		sysctl net.ipv4.conf.all net.ipv4.conf.default net.ipv4.conf.eth0 net.ipv6.conf.all net.ipv6.conf.default 2>/dev/null || true`)
}

// difference lists the lines that only one of two texts has.
func difference(before, after string) string {
	var d strings.Builder
	for _, side := range []struct{ sign, has, lacks string }{{"- ", before, after}, {"+ ", after, before}} {
		lacks := map[string]bool{}
		for line := range strings.Lines(side.lacks) {
			lacks[line] = true
		}
		for line := range strings.Lines(side.has) {
			if !lacks[line] {
				d.WriteString(side.sign + line)
			}
		}
	}
	return d.String()
}

func (w *world) pins() []string {
	found, err := filepath.Glob("/sys/fs/bpf/weir-mt-" + filepath.Base(w.dir) + "*")
	w.must(err)
	return found
}

func TestUninstallLeavesTheServerAsItWas(t *testing.T) {
	w := newWorld(t)
	before := w.networking()
	w.start()
	w.listen(echo)
	exchange(t, w.dial(vip4), "works")
	if w.networking() == before {
		t.Fatal("the comparison sees nothing of the module")
	}
	if out, code := w.command("uninstall", "--config", w.config); code != program.ExitFailed || !strings.Contains(out, "stop it first") {
		t.Errorf("uninstall beside a running agent: exit code %d, %q", code, out)
	}
	w.stop(syscall.SIGTERM)
	if len(w.pins()) == 0 {
		t.Error("a stopped agent leaves no data path")
	}
	w.uninstall()
	if d := difference(before, w.networking()); d != "" {
		t.Errorf("networking changed:\n%s", d)
	}
	if p := w.pins(); len(p) > 0 {
		t.Errorf("pins are left: %s", p)
	}
	w.uninstall() // nothing to do is no error
	w.start()     // and it can be installed again
	exchange(t, w.dial(vip4), "works")
}

func TestWhatCannotStartSaysWhyAndLeavesNothing(t *testing.T) {
	w := newWorld(t)
	before := w.networking()
	files := 0
	module := func(old, new string) string {
		b, err := os.ReadFile(w.config)
		w.must(err)
		files++
		return w.write(fmt.Sprintf("changed%d.yaml", files), strings.Replace(string(b), old, new, 1))
	}
	for name, tc := range map[string]struct {
		config string
		says   string
		code   int
	}{
		"unknown key":      {module("server:", "sever: x\nserver:"), "sever", program.ExitUsage},
		"unknown server":   {module("srv1", "srv9"), `server "srv9" is not in`, program.ExitUsage},
		"no interface":     {module("eth0", "eth7"), "interface eth7 is not there", program.ExitFailed},
		"no cluster file":  {module("cluster.yaml", "nowhere.yaml"), "nowhere.yaml", program.ExitUsage},
		"not a bpf system": {module("/sys/fs/bpf/", w.dir+"/"), "mount", program.ExitFailed},
		"no such cgroup":   {module("uplink", "cgroup: /nowhere\nuplink"), "/nowhere", program.ExitFailed},
	} {
		out, code := w.command("--config", tc.config)
		if code != tc.code || !strings.Contains(out, tc.says) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: exit code %d, %q", name, code, out)
		}
		if d := difference(before, w.networking()); d != "" {
			t.Errorf("%s: networking changed:\n%s", name, d)
		}
	}
	if p := w.pins(); len(p) > 0 {
		t.Errorf("pins are left: %s", p)
	}
}

func TestASecondStartIsRefused(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.listen(echo)
	c := w.dial(vip4)
	exchange(t, c, "first")
	out, code := w.command("--config", w.config)
	if code != program.ExitFailed || !strings.Contains(out, "another lbmodule runs") {
		t.Errorf("same run directory: exit code %d, %q", code, out)
	}
	b, err := os.ReadFile(w.config)
	w.must(err)
	other := w.write("other.yaml", strings.Replace(string(b), "run_dir: run", "run_dir: run2", 1))
	out, code = w.command("--config", other)
	if code != program.ExitFailed || !strings.Contains(out, "another lbmodule, has it") {
		t.Errorf("same port: exit code %d, %q", code, out)
	}
	exchange(t, c, "undisturbed")
}

func TestPacketsOfOtherFlowsNeverReachTheKernel(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.listen(echo)
	exchange(t, w.dial(vip4), "works")
	segments := w.sh(serverNS, "nstat -az TcpInSegs | tail -1")
	s := packet.TCPSpec{
		IPSpec:  packet.IPSpec{Src: [16]byte{10: 0xff, 11: 0xff, 12: 198, 13: 18, 14: 0, 15: 10}, Dst: [16]byte{10: 0xff, 11: 0xff, 12: 203, 13: 0, 14: 113, 15: 9}},
		SrcPort: 1234, DstPort: 7000, Seq: 1, Ack: 2, Window: 100, Flags: packet.ACK,
	}
	var b [128]byte
	n := packet.BuildTCP(b[:], &s)
	w.node.tunnel(b[packet.EthernetSize:n])
	w.eventually("the module says not here", func() bool { _, ok := w.node.last(wire.MsgNotHere); return ok })
	if m, _ := w.node.last(wire.MsgNotHere); m.Key.ClientPort != 1234 || m.Seq != 1 || m.Ack != 2 || m.Server != 1 {
		t.Errorf("message is %+v", m)
	}
	if after := w.sh(serverNS, "nstat -az TcpInSegs | tail -1"); after != segments {
		t.Errorf("TCP segments in the kernel: %s, then %s", segments, after)
	}
}

func TestThePublicAddressIsNeitherAnsweredNorServedOnTheFabric(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.listen(echo)
	w.sh(nodeNS, "ip route add 203.0.113.9/32 dev fab") // asks by ARP
	if c, err := w.tryDialFor(vip4, 1200); err == nil {
		c.Close()
		t.Error("a public address is reached without a tunnel")
	}
	if out := w.sh(nodeNS, "ip neigh show dev fab to 203.0.113.9"); strings.Contains(out, "lladdr") {
		t.Errorf("ARP for a public address is answered: %s", out)
	}
	mac, err := netns.MAC(serverNS, "eth0")
	w.must(err)
	w.sh(nodeNS, "ip neigh replace 203.0.113.9 lladdr "+mac.String()+" dev fab nud permanent")
	if c, err := w.tryDialFor(vip4, 1200); err == nil {
		c.Close()
		t.Error("a plain packet to a public address is served")
	}
	s, err := w.status()
	w.must(err)
	if s.Drops["arp"] == 0 || s.Drops["plain"] == 0 {
		t.Errorf("drops are %v", s.Drops)
	}
	w.sh(nodeNS, "ip route del 203.0.113.9/32 dev fab")
	exchange(t, w.dial(vip4), "by the tunnel")
}
