package version

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// source is a folder with a file VERSION of a certain time.
func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "VERSION")
	if err := os.WriteFile(path, []byte("1.2.3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Unix(1_700_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir))
	return dir
}

func TestTheTimeOfABuildIsThatOfTheCommit(t *testing.T) {
	dir := source(t)
	t.Setenv("GIT_COMMITTER_DATE", "1710000000 +0000")
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "-m", "x"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git: %v\n%s", err, out)
		}
	}
	if got, err := BuildTime(dir); err != nil || got.Unix() != 1_710_000_000 {
		t.Errorf("got %v, %v", got, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1720000000")
	if got, err := BuildTime(dir); err != nil || got.Unix() != 1_720_000_000 || got.Location() != time.UTC {
		t.Errorf("SOURCE_DATE_EPOCH: got %v, %v", got, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err := BuildTime(dir); err == nil {
		t.Error("a SOURCE_DATE_EPOCH that is no number was taken")
	}
}

func TestWithoutHistoryTheTimeIsThatOfTheFileVersion(t *testing.T) {
	dir := source(t)
	if got, err := BuildTime(dir); err != nil || got.Unix() != 1_700_000_000 {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := Of(dir); err != nil || got != "1.2.3" {
		t.Errorf("got %q, %v", got, err)
	}
}
