package config

import (
	"strings"
	"testing"
	"time"
)

const updatesYAML = `updates:
  repository: http://10.30.0.2:8080/weir/
  interval: 6h
  bandwidth: 10MiB
  gate: {hold: 20s, deadline: 4m}
`

func TestAnUpdatesSectionIsRead(t *testing.T) {
	n, err := ParseNode("node.yaml", []byte(machineText(t)+updatesYAML))
	if err != nil {
		t.Fatal(err)
	}
	want := Updates{Repository: "http://10.30.0.2:8080/weir", Interval: 6 * time.Hour, Bandwidth: 10 << 20, Gate: Gate{Hold: 20 * time.Second, Deadline: 4 * time.Minute}}
	if n.Updates != want || n.UpdateSocket() != "/run/weir/updated.sock" {
		t.Errorf("%+v", n.Updates)
	}
}

func TestWithoutAnUpdatesSectionNothingIsPulled(t *testing.T) {
	for _, text := range []string{"", "updates: {}\n", "updates: {gate: {}}\n"} {
		n, err := ParseNode("node.yaml", []byte(machineText(t)+text))
		if err != nil {
			t.Fatal(err)
		}
		if u := n.Updates; u != (Updates{Gate: Gate{Hold: 30 * time.Second, Deadline: 5 * time.Minute}}) {
			t.Errorf("%q: %+v", text, u)
		}
	}
}

func TestABadUpdatesSectionIsRefusedWithItsPlace(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"http://10.30.0.2:8080/weir/", "ftp://10.30.0.2/weir", `node.yaml:17: updates.repository: "ftp://10.30.0.2/weir" is not the URL of a repository; write it like http://`},
		{"http://10.30.0.2:8080/weir/", "/srv/weir", "is not the URL of a repository"},
		{"http://10.30.0.2:8080/weir/", "http://10.30.0.2/weir?a=b", "is not the URL of a repository"},
		{"http://10.30.0.2:8080/weir/", "http://me:secret@10.30.0.2/weir", "updates.repository: has a user or a password"},
		{"  repository: http://10.30.0.2:8080/weir/\n", "", "updates.interval: there is no repository to look at; set updates.repository too"},
		{"interval: 6h", "interval: 1s", "updates.interval: 1s is out of range"},
		{"bandwidth: 10MiB", "bandwidth: 1B", "updates.bandwidth: 1B per second is out of range"},
		{"hold: 20s", "hold: 0s", "updates.gate.hold: 0s is out of range"},
		{"deadline: 4m", "deadline: 20s", "updates.gate.deadline: 20s leaves no time for the 20s that health must hold"},
		{"gate:", "gates:", "updates.gates: unknown key"},
	} {
		bad := strings.Replace(machineText(t)+updatesYAML, c.from, c.to, 1)
		if _, err := ParseNode("node.yaml", []byte(bad)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("with %q: %v, want %q", c.to, err, c.want)
		}
	}
}
