package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/image/initramfs"
	"weir/image/manifest"
)

func TestAnImageIsMadeAgainWhenAnythingHasChanged(t *testing.T) {
	b := &build{out: t.TempDir()}
	if _, current := b.current("key"); current {
		t.Error("there is no image yet")
	}
	path := filepath.Join(b.out, kernelFile)
	if err := os.WriteFile(path, []byte("kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	o, err := manifest.Describe(b.out, kernelFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := (manifest.Manifest{Version: "1", Outputs: []manifest.Output{o}}).Write(b.out); err != nil {
		t.Fatal(err)
	}
	if err := b.remember("key"); err != nil {
		t.Fatal(err)
	}
	if m, current := b.current("key"); !current || m.Version != "1" {
		t.Errorf("nothing has changed, but got %v", m)
	}
	if _, current := b.current("other"); current {
		t.Error("other inputs were not noticed")
	}
	if err := os.WriteFile(path, []byte("colonel"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, current := b.current("key"); current {
		t.Error("a changed file was not noticed")
	}
}

func TestTheTableNamesFilesAndWhatTakesTheSpace(t *testing.T) {
	a := initramfs.New()
	a.Text("init", strings.Repeat("x", 3<<20), 0o755)
	a.Text("lib/modules/6.1/kernel/a.ko", strings.Repeat("x", 2<<20), 0o644)
	a.Text("lib/modules/6.1/kernel/b.ko", strings.Repeat("x", 2<<20), 0o644)
	a.Text("lib/x86_64-linux-gnu/libc.so.6", "x", 0o755)
	a.Text("lib/firmware/x", "x", 0o644)
	a.Text("bin/noded", "xx", 0o755)
	a.Text("bbin/bb", "xx", 0o755)
	a.Text("etc/hosts", "x", 0o644)
	space, err := groups(a)
	if err != nil {
		t.Fatal(err)
	}
	m := manifest.Manifest{Version: "1.2.3", Kernel: "6.1", Space: space, Outputs: []manifest.Output{{Name: "vmlinuz", Size: 8 << 20, SHA256: strings.Repeat("a", 64)}}}
	const want = `Weir 1.2.3, Linux 6.1, build/image

  vmlinuz                             8.0 MiB  aaaaaaaaaaaaaaaa

Unpacked, the initramfs consists of
  kernel modules                      4.0 MiB    2 files
  /init                               3.0 MiB    1 files
  /bin/noded                          0.0 MiB    1 files
  u-root commands                     0.0 MiB    1 files
  e2fsck, mke2fs and libraries        0.0 MiB    1 files
  firmware                            0.0 MiB    1 files
  others                              0.0 MiB    1 files
  together                            7.0 MiB    8 files

Every file: build/image/contents.txt
`
	if got := table(m, "build/image"); got != want {
		t.Errorf("got\n%s", got)
	}
	dir := t.TempDir()
	if err := writeContents(dir, a); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "contents.txt")); err != nil || !strings.HasPrefix(string(text), "bbin/bb\t100755\t2\nbin/noded\t100755\t2\n") {
		t.Errorf("contents: %.80q, %v", text, err)
	}
}

func TestChangedFirmwareIsAnInput(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "intel/ice"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "intel/ice/ice.pkg"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	list, err := hashFirmware(dir)
	if err != nil || len(list) != 1 || list[0].Name != "firmware/intel/ice/ice.pkg" || len(list[0].SHA256) != 64 {
		t.Errorf("got %v, %v", list, err)
	}
	if list, err := hashFirmware(""); err != nil || list != nil {
		t.Errorf("no folder: got %v, %v", list, err)
	}
	if _, err := hashFirmware(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a folder that is not there was taken")
	}
}
