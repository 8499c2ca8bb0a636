package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"weir/services/api"
)

func TestStatusPageIsShownAndKeptUpToDate(t *testing.T) {
	r := newRig(t, nil, nil)
	r.sees("Weir 0.4.0  lb1 of lab  slot a", "announced, healthy; ring 7 settled", "lb2", "1234 established", "4 of 4 healthy")
	if strings.Contains(r.screen.Text(), "!") {
		t.Errorf("a problem is shown where there is none:\n%s", r.screen.Text())
	}
	r.change(func() {
		r.dataplane = goodDataplane()
		r.dataplane.Flows.Established = 77
		r.dataplane.Ports[0].LinkUp = false
	})
	r.sees("77 established", "! no link on the north NIC", "-> check cable")
	r.stop("dataplane")
	r.change(func() { n := goodNode(); n.DataplaneError = "does not answer"; r.node = n; r.dataplane = nil })
	r.sees("! dataplane is not running: no packet is forwarded", "announced")
	r.stop("noded")
	r.sees("! noded is not running", "membership is not known")
	r.stop("init")
	r.sees("! init is not running", "phases are not known")
	r.start(t, "init")
	r.start(t, "noded")
	r.sees("mounts 0.1", "announced, healthy")
}

// exercised is every command with what it must show. They run at one prompt, in
// this order.
var exercised = []struct {
	line string
	want []string
}{
	{"status", []string{"lb1 of lab", "announced, healthy"}},
	{"phases", []string{"PHASE", "hugepages", "disk, node lb1, which is longe..", "services         ok       3.35 s", "announced        reached  9.40 s"}},
	{"nics", []string{"0000:00:03.0  52:54:00:00:01:11  1af4:1041  vfio-pci", "8086:10d3"}},
	{"links", []string{"north       up    912331", "eth0        up    4410", "10.10.0.1  10.10.0.1  north  52:54:00:00:00:01  reachable"}},
	{"bgp", []string{"lb2        left   10.10.0.111  10.10.0.1  established  12 min 20 s  2"}},
	{"nodes", []string{"lb3   healthy  announced  33.3%  10.10.0.13  10.20.0.13  0.41 ms", "ring 7, settled"}},
	{"servers", []string{"srv2    healthy  100     10.20.0.102  yes"}},
	{"flows", []string{"established   1234   262144", "not_served  17"}},
	{"services", []string{"dataplane      ready  12 min 24 s  231", "96.0 MiB"}},
	{"logs", []string{"usage: logs SOURCE [N] [-f]; sources: init, kernel, console-ttyS0"}},
	{"logs noded", []string{"[     9.100]", "router=10.10.0.1?[2J"}},
	{"logs kernel 2", []string{"[     5.800] pci 0000:00:3a.0: line 59", "line 60"}},
	{"logs nonsense", []string{`there is no log of "nonsense"`}},
	{"logs kernel many", []string{"usage: logs [SOURCE [N]] [-f]"}},
	{"logs a 1 b", []string{"usage: logs [SOURCE [N]] [-f]"}},
	{"logs console-ttyS0", []string{"nothing is kept of console-ttyS0"}},
	{"crashes", []string{"1  2026-11-22T03:00:00Z  dmesg-efi-173", "crashes N shows the end of one"}},
	{"crashes 1", []string{"Kernel panic - not syncing"}},
	{"crashes 2", []string{"usage: crashes [N]; there are 1"}},
	{"upgrades", []string{"a     0.1.0    good   runs, committed", "version 0.1.0 runs", "rolled back  2026-11-23T12:05:00Z  0.2.0  it is sick"}},
	{"config", []string{"node: lb1", "password: (not shown)", "exception: weir-north"}},
	{"config source", []string{"node.yaml   disk", "cluster     /run/weir/cluster.yaml", "generation  9f3a11c2"}},
	{"config errors", []string{"no errors"}},
	{"config nonsense", []string{"usage: config [source|errors]"}},
	{"check", []string{"ok      north NIC: 0000:00:03.0", "ok      router 10.10.0.1: answers ARP or ND", "ok      node lb2: healthy", "0 failed"}},
	{"help restart", []string{"restart SERVICE", "needs the password"}},
	{"help nonsense", []string{`unknown command "nonsense"`}},
	{"help a b", []string{"usage: help [COMMAND]"}},
	{"nonsense", []string{`unknown command "nonsense"; help lists them`}},
	{"", nil},
	{"   ", nil},
}

// takeNone are the commands that take no arguments.
var takeNone = []string{"status", "watch", "phases", "nics", "links", "bgp", "nodes", "servers", "flows", "services", "upgrades", "check", "login", "logout"}

func TestEveryCommand(t *testing.T) {
	r := newRig(t, func(f *fakes) {
		f.boot.Crashes = []*api.CrashRecord{{Name: "dmesg-efi-173", Time: "2026-11-22T03:00:00Z", Text: "one\nKernel panic - not syncing\n"}}
	}, nil)
	r.prompt()
	for _, c := range exercised {
		r.does(c.line, c.want...)
	}
	r.types("help\r ") // of two pages
	r.sees("* needs the password", "logout")
	r.atPrompt()
	for _, name := range takeNone {
		r.does(name+" nonsense", "usage: "+name)
	}
	if len(r.asked) > 0 {
		t.Errorf("changed without a password: %q", r.asked)
	}
}

func TestEveryCommandIsExercised(t *testing.T) {
	// Those that the tests below are about.
	seen := []string{"watch", "login", "logout", "restart", "reboot", "poweroff", "shell", "capture", "upgrade", "rollback"}
	for _, c := range exercised {
		name, _, _ := strings.Cut(c.line, " ")
		seen = append(seen, name)
	}
	for _, c := range commands() {
		if !slices.Contains(seen, c.name) {
			t.Errorf("no test runs %s", c.name)
		}
	}
}

func TestOutputLongerThanTheTerminalIsPaged(t *testing.T) {
	r := newRig(t, nil, nil)
	r.prompt()
	r.types("logs kernel\r")
	r.sees("line 23", "--more--")
	r.types("x\r") // x is nothing, Enter one more line
	r.sees("line 24", "--more--")
	r.types(" ")
	r.sees("line 47", "--more--")
	r.types("q")
	r.atPrompt()
	if strings.Contains(r.screen.All(), "line 60") {
		t.Error("what was not wanted was shown")
	}
	r.types("logs kernel\r  ")
	r.sees("line 60")
	r.atPrompt()
}

func TestLogsAreFollowedUntilInterrupted(t *testing.T) {
	r := newRig(t, nil, nil)
	r.prompt()
	for _, key := range []string{"\x03", "q"} {
		r.change(func() { r.asked = nil })
		r.on("logs dataplane -f")
		r.sees("forwarding is ready")
		r.follow <- &api.LogLine{Seconds: 99, Text: "something new\r\n"}
		r.sees("[    99.000] something new")
		r.types("z" + key)
		r.atPrompt()
	}
}

func TestTypingOnTheStatusPageBeginsACommand(t *testing.T) {
	r := newRig(t, nil, nil)
	r.types("phases\r")
	r.sees("lb1> phases", "RESULT")
	r.atPrompt()
	r.types("watch\r")
	r.onPage()
	r.types("\x0c") // painted again
	r.types("\r")
	r.atPrompt()
}

func TestLineEditing(t *testing.T) {
	r := newRig(t, nil, nil)
	r.prompt()
	r.does("xhelp\x1b[D\x1b[D\x1b[D\x1b[D\x7f\x05 restart\x01", "needs the password") // cursor left, backspace, home, end
	r.types("junk\x03phas\t\r")                                                       // Ctrl-C, Tab
	r.sees("hugepages")
	r.atPrompt()
	r.on("\x1b[A") // the line before
	r.sees("hugepages")
	r.atPrompt()
	r.types("\x0c\x04\x04") // Ctrl-D is nothing
	r.does("crashes", "no crash is recorded")
}

func TestNobodyThereBringsTheStatusPageBack(t *testing.T) {
	r := newRig(t, nil, func(s *session) { s.idle = 300 * time.Millisecond })
	r.prompt()
	r.types("stat")
	r.onPage()
}

func TestConfigurationErrorsAreShown(t *testing.T) {
	r := newRig(t, func(f *fakes) {
		f.boot.Phases[5].Result, f.boot.Phases[5].Reason, f.boot.Phases[5].Remedy = "degraded", "http://boot/node.yaml: HTTP 404", "correct weir.config"
		f.boot.ConfigSource, f.boot.ConfigLastGood = "http://user:geheim@boot/node.yaml", true
		f.node.ConfigError = "cluster.yaml:7: nodes: no nodes"
	}, nil)
	r.sees("boot phase configuration degraded: http://boot/node.yaml: HTTP 404", "-> correct weir.config", "nodes: no nodes")
	r.prompt()
	r.does("config errors", "degraded: http://boot/node.yaml: HTTP 404", "cluster: cluster.yaml:7: nodes: no nodes")
	r.does("config source", "http://boot/node.yaml (it fails: the last good one is in force)")
	r.configure(t, "node: [\n")
	r.does("config errors", "node.yaml:")
	r.does("config", "cannot be shown")
	if strings.Contains(r.screen.All(), "geheim") {
		t.Error("the password of a URL is shown")
	}
}
