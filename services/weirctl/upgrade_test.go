package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"weir/services/configd/rig"
	"weir/services/identity"
)

func TestAClusterIsUpgradedAndTheTimeOfEveryNodeIsTold(t *testing.T) {
	r := serviceLab(t)
	r.Apply(rig.Cluster(3, 3))
	wants(t, ctl("--lab", "upgrade", "status"), "no upgrade of the cluster has been begun yet", "exit 3")
	wants(t, ctl("--lab", "upgrade", "pause"), "no upgrade of the cluster has been begun yet", "exit 3")
	wants(t, ctl("--lab", "upgrade", "start", "--version", "x/y"), "exit 2")
	wants(t, ctl("--lab", "upgrade", "start", "--version", "9.9.9"), "node lb1: its repository http://10.30.0.2/weir has no version 9.9.9 that it may install; it has 0.2.0, 0.1.0, 0.3.0", "exit 1")
	got := ctl("--lab", "upgrade", "start")
	wants(t, got, "the upgrade to version 0.2.0\n", " lb3 done: runs 0.2.0, after ", "\nupgrade to version 0.2.0: done\n", "exit 0")
	if !regexp.MustCompile(`(?m)^lb3 +0\.1\.0 +0\.2\.0 +done +\d+ s +\d+ s +-$`).MatchString(got) {
		t.Errorf("no row of lb3 in:\n%s", got)
	}
	wants(t, ctl("--lab", "upgrade", "resume"), "the upgrade is done, not paused or stopped", "exit 1")
	wants(t, ctl("--lab", "upgrade", "rollback"), "the upgrade to the versions of before", "upgrade from version 0.2.0 back to those of before: done", "exit 0")
	if v, serves := r.Nodes.Runs("lb2"); v != rig.OldVersion || !serves {
		t.Errorf("lb2 runs %s, in service: %v", v, serves)
	}
}

func TestAnUpgradeThatStopsSaysWhyAndWhatToDo(t *testing.T) {
	r := serviceLab(t)
	r.Apply(rig.Cluster(3, 3))
	wants(t, ctl("--lab", "upgrade", "start", "--version", rig.BadVersion),
		"lb1 failed: version 0.3.0 has failed its trial, and the node is back in 0.1.0: the dataplane does not forward",
		"upgrade to version 0.3.0: stopped\nwhy: node lb1: version 0.3.0", "what to do: correct the version", "exit 1")
	var out, errOut bytes.Buffer
	if code := execute([]string{"--lab", "upgrade", "status", "-o", "json"}, &out, &errOut); code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut.String())
	}
	var u upgradeStatus
	if err := json.Unmarshal(out.Bytes(), &u); err != nil {
		t.Fatal(err)
	}
	if u.State != "stopped" || u.Remedy == "" || u.Nodes[0].Phase != "failed" || u.Nodes[1].Phase != "waiting" || u.Nodes[0].Drained {
		t.Errorf("%+v", u)
	}
}

// documented are the indented commands of a section of a page.
func documented(t *testing.T, page, section string) (list [][]string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(text), "\n## "+section+"\n")
	part, _, _ = strings.Cut(part, "\n## ")
	for _, line := range strings.Split(part, "\n") {
		if command, indented := strings.CutPrefix(line, "    weirctl --config-service 10.30.0.2 "); indented {
			list = append(list, strings.Fields(command))
		} else if strings.HasPrefix(line, "    ") {
			t.Errorf("%s: no command of this service: %s", page, line)
		}
	}
	return list
}

func TestTheDocumentedCommandsOfAClusterWork(t *testing.T) {
	list := documented(t, "../../docs/upgrades.md", "A cluster")
	if len(list) != 5 || list[0][1] != "start" {
		t.Fatalf("%v", list)
	}
	r := rig.New(t)
	r.Start()
	r.Apply(rig.Cluster(3, 3))
	me := r.Issue(identity.Operator, "me")
	do := func(words []string) (int, string) {
		var out bytes.Buffer
		code := execute(append([]string{"--config-service", r.Address.String(), "--ca", me.CA, "--cert", me.Cert, "--key", me.Key}, words...), &out, &out)
		return code, out.String()
	}
	started := make(chan string, 1)
	go func() { // which is paused meanwhile
		_, text := do(list[0])
		started <- text
	}()
	rig.Until(t, "the upgrade begins", func() bool { code, _ := do([]string{"upgrade", "status"}); return code == 0 })
	for _, words := range list[1:] {
		if code, text := do(words); code != 0 {
			t.Errorf("%v: exit code %d: %s", words, code, text)
		}
	}
	wants(t, <-started, "the upgrade to version 0.2.0")
	if v, serves := r.Nodes.Runs("lb1"); v != rig.OldVersion || !serves {
		t.Errorf("lb1 runs %s, in service: %v", v, serves)
	}
}
