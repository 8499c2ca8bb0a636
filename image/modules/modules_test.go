package modules

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree makes module files with the given entries in .modinfo.
func tree(t *testing.T, files map[string][]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, entries := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		source := ".section .modinfo,\"a\"\n"
		for _, e := range entries {
			source += ".asciz \"" + e + "\"\n"
		}
		c := exec.Command("as", "-o", path, "-")
		c.Stdin = strings.NewReader(source)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("as: %v\n%s", err, out)
		}
	}
	return dir
}

func TestAModuleBringsWhatItDependsOn(t *testing.T) {
	dir := tree(t, map[string][]string{
		"kernel/fs/ext4.ko":        {"license=GPL", "depends=jbd2,mbcache", "softdep=pre: crc32c"},
		"kernel/fs/jbd2.ko":        {"depends="},
		"kernel/fs/mbcache.ko":     {"depends="},
		"kernel/lib/crc32c.ko":     {"depends=crc-base"},
		"kernel/lib/crc-base.ko":   {"depends=builtin_one"},
		"kernel/drivers/sound.ko":  {"depends="},
		"kernel/drivers/vfio-x.ko": {"depends="},
	})
	builtin := []byte("kernel/lib/builtin-one.ko\nkernel/drivers/pci.ko\n")
	got, err := Closure(dir, builtin, []string{"ext4", "vfio_x", "pci", "jbd2"})
	want := []string{"kernel/drivers/vfio-x.ko", "kernel/fs/ext4.ko", "kernel/fs/jbd2.ko", "kernel/fs/mbcache.ko", "kernel/lib/crc-base.ko", "kernel/lib/crc32c.ko"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAMissingModuleIsNamedWithWhoNeedsIt(t *testing.T) {
	dir := tree(t, map[string][]string{"a.ko": {"depends=b"}, "soft.ko": {"depends=", "softdep=pre: nowhere post: neither"}})
	if _, err := Closure(dir, nil, []string{"a"}); err == nil || err.Error() != "a needs it: this kernel has no module b" {
		t.Errorf("got %v", err)
	}
	if got, err := Closure(dir, nil, []string{"soft"}); err != nil || len(got) != 1 {
		t.Errorf("a soft dependency that does not exist: got %v, %v", got, err)
	}
	if _, err := Closure(dir, nil, []string{"c"}); err == nil || !strings.Contains(err.Error(), "no module c") {
		t.Errorf("got %v", err)
	}
}

func TestDepmodDescribesTheModulesThatAreThere(t *testing.T) {
	root := t.TempDir()
	from := tree(t, map[string][]string{"a.ko": {"name=a", "depends=b", "alias=pci:v1234*"}, "b.ko": {"name=b", "depends="}})
	to := filepath.Join(root, "lib", "modules", "6.1.0")
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(to, "kernel"), os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"modules.order", "modules.builtin"} {
		if err := os.WriteFile(filepath.Join(to, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if version, err := Version(root); err != nil || version != "6.1.0" {
		t.Fatalf("got %q, %v", version, err)
	}
	if err := Depmod(root, "6.1.0"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(to, "modules.alias"))
	if err != nil || !strings.Contains(string(text), "alias pci:v1234* a\n") {
		t.Errorf("got %q, %v", text, err)
	}
}
