package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir/qemu/manual"
	"weir/services/lbmodule/deb"
)

// packages makes packages of the versions, with one program in all of them.
func (w *world) packages(versions ...string) (paths []string) {
	w.t.Helper()
	program := filepath.Join(w.dir, "lbmodule")
	if _, err := os.Stat(program); err != nil {
		c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", program, ".")
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			w.t.Fatalf("%v: %s", err, out)
		}
	}
	for _, version := range versions {
		path, err := deb.Build(deb.Release{Version: version, Time: time.Unix(1_795_000_000, 0).UTC(), Program: program}, w.dir)
		w.must(err)
		paths = append(paths, path)
	}
	return paths
}

// installation is a package on a machine, through its life.
type installation struct {
	*machine
	t *testing.T
	w *world
}

// install installs or upgrades to a package, and returns what it said.
func (i *installation) install(path string) string {
	i.t.Helper()
	b, err := os.ReadFile(path)
	i.w.must(err)
	name := "/tmp/" + filepath.Base(path)
	i.write(name, string(b), 0o644)
	return i.run("apt-get -o Dpkg::Use-Pty=0 -q install --yes " + name)
}

// trace is everything that the package or the module could leave on the machine.
func (i *installation) trace() string {
	i.t.Helper()
	return i.w.networking() + i.w.sh(serverNS, `nft list ruleset; bpftool net show
		sysctl -a --pattern '^net\.' 2>/dev/null | grep -v conntrack_count`) +
		i.run(`find /sys/fs/bpf /run/weir 2>/dev/null || true
			find /etc /var /usr/lib/systemd /usr/share/doc /usr/share/man -xdev -maxdepth 4 -type d | grep -Ev '^/var/(log|cache|tmp|lib/(dpkg|apt))/' | sort
			cd `+changes+`; find . ! -type d | grep -Ev '^./(tmp|var/(log|cache|tmp|lib/(dpkg|apt)))/' | sort
			cat /etc/passwd /etc/group; systemctl list-unit-files --no-legend 'weir*' || true; systemctl --failed --no-legend`)
}

// configure fills in the configuration that the package brought.
func (i *installation) configure() {
	i.t.Helper()
	i.writeCluster()
	i.run(`sed -i 's/^#server: /server: /; s/^#cluster_file: /cluster_file: /' /etc/weir/lbmodule.yaml`)
}

func (i *installation) writeCluster() {
	i.t.Helper()
	i.write("/etc/weir/cluster.yaml", clusterYAML, 0o644)
	i.write("/etc/weir/cluster.key", strings.Repeat("5a", 32), 0o600)
}

func (i *installation) serves() {
	i.t.Helper()
	i.w.within(time.Minute, "the module serves", func() bool { return i.property("StatusText") == "serves srv1 of cluster test" })
	i.w.node.introduce()
}

// transfer sends bytes there and back until stop; the result says what it missed.
func transfer(c net.Conn, stop <-chan struct{}) <-chan error {
	done := make(chan error, 1)
	sent, got := sha256.New(), sha256.New()
	go func() {
		var err error
		block, back := payload(64<<10), make([]byte, 64<<10)
		pace := time.NewTicker(5 * time.Millisecond) // 100 Mbit/s; the machine has more to do
		defer pace.Stop()
		for over := false; !over && err == nil; {
			select {
			case <-stop:
				over = true
			case <-pace.C:
			}
			if err = c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				break
			}
			writing := make(chan error, 1)
			go func() { _, err := c.Write(block); sent.Write(block); writing <- err }()
			_, err = io.ReadFull(c, back)
			err = errors.Join(err, <-writing)
			got.Write(back)
		}
		if err == nil && string(sent.Sum(nil)) != string(got.Sum(nil)) {
			err = errors.New("other bytes came back")
		}
		done <- err
	}()
	return done
}

func TestThePackageServesUpgradesAndLeavesNoTrace(t *testing.T) {
	w := newWorld(t)
	m := w.boot("/")
	life(t, w, m)
	(&installation{m, t, w}).followsTheManual()
}

// followsTheManual runs what docs/servers.md has operators type.
func (i *installation) followsTheManual() {
	i.t.Helper()
	commands, err := manual.Commands("../../docs/servers.md")
	i.w.must(err)
	if len(commands) < 15 || commands[0] != "make deb" {
		i.t.Fatalf("the page has changed: %q", commands)
	}
	b, err := os.ReadFile(i.w.packages("1.0.2")[0])
	i.w.must(err)
	i.write("/weir-lbmodule_1.0.2_amd64.deb", string(b), 0o644)
	i.run("mkdir -p /etc/weir") // as whoever copied the cluster file there
	i.writeCluster()
	for _, command := range commands[1:] {
		if out, err := i.try(command); err != nil {
			i.t.Errorf("%s: %v: %s", command, err, out)
		}
	}
}

func life(t *testing.T, w *world, m *machine) {
	i := &installation{m, t, w}
	packages := w.packages("1.0.0-rc1", "1.0.0", "1.0.1")
	before := i.trace()

	said := i.install(packages[0])
	if !strings.Contains(said, "not started: /etc/weir/lbmodule.yaml:") || !strings.Contains(said, "server: is missing") {
		t.Errorf("the installation does not say that the configuration is missing:\n%s", said)
	}
	i.refusesToStartUnconfigured()
	i.configure()
	i.run("lbmodule check && systemctl restart weir-lbmodule")
	i.serves()
	w.listen(echo)
	idle, busy := w.dial(vip4), w.dial(vip6)
	exchange(t, idle, "first version")
	stop := make(chan struct{})
	done := transfer(busy, stop)
	i.keepsItsPromises()
	present := difference(before, i.trace())
	for _, seen := range []string{"\n+ 6080:", "weir0", "weir_", "+ ./usr/sbin/lbmodule", "+ /var/lib/weir"} {
		if !strings.Contains(present, seen) {
			t.Errorf("the comparison does not see %q:\n%s", seen, present)
		}
	}

	i.keepsAnAgentThatHasNoSuccessor(packages[1])
	i.upgrades(packages[2])
	w.must(idle.SetDeadline(time.Now().Add(10 * time.Second)))
	exchange(t, idle, "second version")
	exchange(t, w.dial(vip4), "new connection")
	close(stop)
	if err := <-done; err != nil {
		t.Errorf("the transfer through the upgrade: %v", err)
	}

	i.run("apt-get -q remove --yes weir-lbmodule")
	if d := difference(withoutPackage(before), withoutPackage(i.trace())); d != "" {
		t.Errorf("after the removal:\n%s", d)
	}
	i.run("test -e /etc/weir/lbmodule.yaml")
	i.run("rm /etc/weir/cluster.yaml /etc/weir/cluster.key") // the administrator's
	i.run("apt-get -q purge --yes weir-lbmodule")
	if d := difference(before, i.trace()); d != "" {
		t.Errorf("after the purge:\n%s", d)
	}
	w.noTranslationErrors()
}

// withoutPackage is a trace without what a removed package may keep until it is purged.
func withoutPackage(trace string) string {
	return regexp.MustCompile(`(?m)^[./]*(etc/weir|var/lib/weir|var/lib/systemd/deb-systemd-helper|etc/systemd/system/multi-user).*\n`).ReplaceAllString(trace, "")
}

func (i *installation) refusesToStartUnconfigured() {
	i.t.Helper()
	if out, err := i.try("systemctl start weir-lbmodule"); err == nil {
		i.t.Errorf("it starts without a configuration: %s", out)
	}
	i.w.eventually("the unit has failed", func() bool { return i.property("ActiveState") == "failed" })
	if n := i.property("NRestarts"); n != "0" {
		i.t.Errorf("a mistake in the configuration was tried %s times again", n)
	}
	if out := i.run("journalctl --no-pager -u weir-lbmodule"); !strings.Contains(out, "server: is missing; add the key") {
		i.t.Errorf("the journal does not say why it did not start:\n%s", out)
	}
	if out := i.run("systemctl is-enabled weir-lbmodule"); out != "enabled\n" {
		i.t.Errorf("the unit is %s", out)
	}
}

// keepsItsPromises looks at what the unit and the manual page say.
func (i *installation) keepsItsPromises() {
	i.t.Helper()
	i.run("systemctl reload weir-lbmodule")
	pid := i.property("MainPID")
	i.run("kill -KILL " + pid)
	i.w.within(time.Minute, "a killed agent is back", func() bool {
		now := i.property("MainPID")
		return now != pid && now != "0" && i.property("ActiveState") == "active"
	})
	i.serves()
	caps := i.run("grep CapEff /proc/$(systemctl show --value -p MainPID weir-lbmodule)/status")
	// CAP_NET_ADMIN 12, CAP_NET_RAW 13, CAP_PERFMON 38, CAP_BPF 39
	if want := fmt.Sprintf("CapEff:\t%016x\n", 1<<12|1<<13|1<<38|1<<39); caps != want {
		i.t.Errorf("the agent has %q, want %q", caps, want)
	}
	i.run("curl -sf --unix-socket /run/weir/lbmodule.sock http://module/status || { test $? = 127; }")
	if out := i.run("systemd-analyze verify --man=no weir-lbmodule.service 2>&1"); strings.Contains(out, "weir") {
		i.t.Errorf("systemd-analyze verify: %s", out)
	}
	i.run("systemd-analyze security --threshold=30 weir-lbmodule.service >/tmp/security")
}

// keepsAnAgentThatHasNoSuccessor upgrades to a version that cannot start.
func (i *installation) keepsAnAgentThatHasNoSuccessor(path string) {
	i.t.Helper()
	i.run("cp /etc/weir/lbmodule.yaml /tmp; echo 'no_such_key: 1' >>/etc/weir/lbmodule.yaml")
	pid := i.property("MainPID")
	if said := i.install(path); !strings.Contains(said, "not restarted: /etc/weir/lbmodule.yaml:") {
		i.t.Errorf("the upgrade does not say that the agent stays:\n%s", said)
	}
	if now := i.property("MainPID"); now != pid {
		i.t.Errorf("the agent %s was ended for one that cannot start", pid)
	}
	i.run("cp /tmp/lbmodule.yaml /etc/weir/")
}

// upgrades checks that only the agent is exchanged.
func (i *installation) upgrades(path string) {
	i.t.Helper()
	pid, links := i.property("MainPID"), i.links()
	i.install(path)
	i.serves()
	if i.property("MainPID") == pid {
		i.t.Error("the agent of the former version still runs")
	}
	if after := i.links(); after != links || links == "" {
		i.t.Errorf("the data path was attached anew: %s, then %s", links, after)
	}
}

// links are the places where the data path is attached, without the programs that
// an upgrade exchanges there.
func (i *installation) links() string {
	return i.w.sh(serverNS, `bpftool -j link show pinned "/proc/`+fmt.Sprint(i.pid)+`/root/sys/fs/bpf/weir-srv1/weir_link_ingress" 2>/dev/null | grep -o '^{"id":[0-9]*' ||
		tc filter show dev eth0 ingress | grep -o 'handle 0x6080'; ip -o link show weir0 | cut -d: -f1`)
}
