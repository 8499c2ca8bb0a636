package initramfs

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/u-root/mkuimage/cpio"
)

// write writes an archive with one file of each kind, added in the given order.
func write(t *testing.T, order []int) []byte {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	if err := os.WriteFile(source, []byte("program"), 0o640); err != nil {
		t.Fatal(err)
	}
	a := New()
	steps := []func(){
		func() { a.Dir(0o1777, "tmp") },
		func() { a.Text("etc/weir/release.json", "{}", 0o644) },
		func() { a.Link("var/run", "../run") },
		func() { a.Device("dev/console", 0o600, 5, 1) },
		func() {
			if err := a.File("bin/program", source, 0o755); err != nil {
				t.Fatal(err)
			}
		},
	}
	for _, i := range order {
		steps[i]()
	}
	output := filepath.Join(dir, "archive")
	if err := a.Write(dir, output); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEqualContentsMakeEqualArchives(t *testing.T) {
	if !bytes.Equal(write(t, []int{0, 1, 2, 3, 4}), write(t, []int{4, 3, 2, 1, 0})) {
		t.Error("archives of the same contents differ")
	}
}

func TestFoldersComeBeforeWhatIsInThem(t *testing.T) {
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(write(t, []int{4, 3, 2, 1, 0}))))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range records {
		names = append(names, r.Name)
		if r.UID != 0 || r.GID != 0 || r.MTime != 0 {
			t.Errorf("%s has an owner or a time: %v", r.Name, r.Info)
		}
	}
	want := []string{"bin", "bin/program", "dev", "dev/console", "etc", "etc/weir", "etc/weir/release.json", "tmp", "var", "var/run"}
	if !slices.Equal(names, want) {
		t.Errorf("got %v", names)
	}
}

func TestAProgramBringsItsLoaderAndLibraries(t *testing.T) {
	a := New()
	if err := a.Program("bin/true", []string{t.TempDir(), "/usr", "/"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bin/true", "lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6"} {
		if r, found := a.Get(name); !found || r.Mode != cpio.S_IFREG|0o755 {
			t.Errorf("%s is not in the archive as a program: %v", name, r.Info)
		}
	}
	if _, twice := a.Get("lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"); twice {
		t.Error("the loader is there twice")
	}
	if err := New().Program("bin/true", []string{onlyProgram(t)}); err == nil {
		t.Error("a missing library was not noticed")
	}
}

// onlyProgram is a folder with a program and not its libraries.
func onlyProgram(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	data, err := os.ReadFile("/usr/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "bin/true"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestWhatIsThereIsNotReplacedByWhatIsMerged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(path, write(t, []int{0, 1, 2, 3, 4}), 0o644); err != nil {
		t.Fatal(err)
	}
	a := New()
	a.Text("bin/program", "ours", 0o755)
	if err := a.Merge(path); err != nil {
		t.Fatal(err)
	}
	if r, _ := a.Get("bin/program"); r.FileSize != 4 {
		t.Errorf("got %v", r.Info)
	}
	if _, found := a.Get("etc/weir/release.json"); !found {
		t.Error("a new file was not added")
	}
}
