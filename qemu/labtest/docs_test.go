package labtest

import (
	"path/filepath"
	"slices"
	"testing"

	"weir/qemu/manual"
)

// elsewhere are the pages whose commands need nodes or servers that are machines or
// are upgraded,
// are typed at their consoles, or make keys: their own tests run them.
var elsewhere = []string{"qemu-lab.md", "console.md", "servers.md", "releases.md", "upgrades.md"}

func TestEveryCommandInTheDocumentationWorks(t *testing.T) {
	root := filepath.Join("..", "..")
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, page := range append(pages, filepath.Join(root, "README.md"), filepath.Join(root, "dataplane", "bench", "README.md")) {
		if slices.Contains(elsewhere, filepath.Base(page)) {
			continue
		}
		n, failed := manual.Page(root, page)
		commands += n
		for _, err := range failed {
			t.Error(err)
		}
	}
	if commands < 10 {
		t.Errorf("found only %d commands", commands)
	}
}
