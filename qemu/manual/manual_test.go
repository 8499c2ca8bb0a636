package manual

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestCommandsAreIndentedAndNotFenced(t *testing.T) {
	got := commandsOf("Text\n\n    make up   # start\n    ls\n\n```\n    not this\n```\n\n    # nor this\n")
	if want := []string{"make up", "ls"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestACommandThatFailsIsNamed(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("    true\n    false\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	commands, failed := Page(".", page)
	if commands != 2 || len(failed) != 1 {
		t.Errorf("%d commands, failed: %v", commands, failed)
	}
}
