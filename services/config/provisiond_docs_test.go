package config

import (
	"os"
	"strings"
	"testing"
)

// The examples of the documentation, put together in each way that it names.
func TestTheFilesInTheDocumentationAreValid(t *testing.T) {
	page, err := os.ReadFile("../../docs/provisioning.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for i, part := range strings.Split(string(page), "```") {
		if text, ok := strings.CutPrefix(part, "yaml\n"); ok && i%2 == 1 {
			blocks = append(blocks, text)
		}
	}
	if len(blocks) != 2 {
		t.Fatalf("found %d files", len(blocks))
	}
	var rest []string
	for _, line := range strings.Split(blocks[0], "\n") {
		if !strings.HasPrefix(line, "dhcp:") {
			rest = append(rest, line)
		}
	}
	for _, text := range []string{blocks[0], strings.Join(rest, "\n") + blocks[1]} {
		if _, err := ParseProvisiond("provisiond.yaml", []byte(text)); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}
