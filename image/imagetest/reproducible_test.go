package imagetest

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/image/manifest"
)

// Two folders with the same sources and the same trusted root, neither of which
// knows anything that the other has compiled, make the same image.
func TestLongTwoBuildsMakeTheSameImage(t *testing.T) {
	trust, err := filepath.Abs("../../build/keys/root.json")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	var made []manifest.Manifest
	for _, place := range []string{"one", "another/and/deeper"} {
		tree := filepath.Join(root, place)
		copySources(t, tree)
		c := exec.Command("make", "image", "TRUST="+trust)
		c.Dir = tree
		c.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1795000000", "GOCACHE="+filepath.Join(root, "cache", place))
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("make image in %s: %v\n%s", tree, err, out)
		}
		m, err := manifest.Read(filepath.Join(tree, "build/image"))
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, m)
	}
	if !slices.Equal(made[0].Outputs, made[1].Outputs) {
		t.Errorf("got %v and %v", made[0].Outputs, made[1].Outputs)
		differences(t, filepath.Join(root, "one"), filepath.Join(root, "another/and/deeper"))
	}
}

// copySources copies the tree without what was built and without its history, and
// brings the packages that are here already.
func copySources(t *testing.T, to string) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel("../..", path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		switch {
		case relative == "build" || relative == ".git":
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(target, 0o755)
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a folder", path)
		}
		return copyFile(path, target)
	})
	if err != nil {
		t.Fatal(err)
	}
	packages := "build/image-work/packages"
	debs, err := filepath.Glob(filepath.Join("../..", packages, "*.deb"))
	if err != nil || len(debs) == 0 {
		t.Fatalf("no packages in %s: %v", packages, err)
	}
	if err := os.MkdirAll(filepath.Join(to, packages), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, deb := range debs {
		if err := copyFile(deb, filepath.Join(to, packages, filepath.Base(deb))); err != nil {
			t.Fatal(err)
		}
	}
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, info.Mode().Perm())
}

// differences names the files of the initramfs that two builds do not share.
func differences(t *testing.T, one, two string) {
	t.Helper()
	other := map[string]string{}
	for _, r := range records(t, filepath.Join(two, "build/image/initramfs.cpio.zst")) {
		other[r.Name] = r.Info.String() + string(contents(t, r))
	}
	var names []string
	for _, r := range records(t, filepath.Join(one, "build/image/initramfs.cpio.zst")) {
		if other[r.Name] != r.Info.String()+string(contents(t, r)) {
			names = append(names, r.Name)
		}
	}
	t.Errorf("different in the initramfs: %s", strings.Join(names, " "))
}
