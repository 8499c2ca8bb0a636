package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// shellWords are those of a line; the documentation quotes with double quotes only.
var shellWords = regexp.MustCompile(`"[^"]*"|\S+`)

func TestTheDocumentedCommandsOfANodeAreTaken(t *testing.T) {
	text, err := os.ReadFile("../../docs/upgrades.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## A node\n")
	section, _, _ = strings.Cut(section, "\n## ")
	socket := upgradable(t, &image{})
	run := 0
	for _, line := range strings.Split(section, "\n") {
		command, indented := strings.CutPrefix(line, "    weirctl --node 10.20.0.11:6090 ")
		if !indented {
			continue
		}
		args := []string{"--node", socket}
		for _, w := range shellWords.FindAllString(command, -1) {
			args = append(args, strings.Trim(w, `"`))
		}
		var out bytes.Buffer
		if code := execute(args, &out, &out); code != 0 {
			t.Errorf("%s: exit code %d: %s", command, code, out.String())
		}
		run++
	}
	if run < 8 {
		t.Errorf("only %d commands are documented", run)
	}
}
