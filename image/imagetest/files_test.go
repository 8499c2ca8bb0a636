package imagetest

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"weir/image/disk"
	"weir/image/manifest"
	"weir/image/uki"
)

// The most that the compressed initramfs may have, in bytes: it is fetched over
// the network at every boot of a node without a disk.
const most = 45 << 20

func TestTheManifestDescribesTheFiles(t *testing.T) {
	m := readManifest(t)
	for _, name := range []string{"vmlinuz", "initramfs.cpio.zst", "weir.efi", "loader.efi", "disk.img"} {
		want, found := m.Output(name)
		if !found {
			t.Errorf("the manifest lacks %s", name)
			continue
		}
		if got, err := manifest.Describe(dir, name); err != nil || got != want {
			t.Errorf("%s: got %v, %v, the manifest says %v", name, got, err, want)
		}
	}
	if m.Version == "" || m.Kernel == "" || m.BuildTime.IsZero() || len(m.Inputs) < 10 || len(m.Space) < 5 {
		t.Errorf("the manifest is not complete: %+v", m)
	}
}

func TestTheInitramfsIsSmall(t *testing.T) {
	if o, _ := readManifest(t).Output("initramfs.cpio.zst"); o.Size > most {
		t.Errorf("the initramfs has %d bytes, at most %d are allowed", o.Size, most)
	}
}

func TestTheUnifiedImageHoldsKernelInitramfsAndCommandLine(t *testing.T) {
	contents, err := uki.Sections(file("weir.efi"))
	if err != nil {
		t.Fatal(err)
	}
	m := readManifest(t)
	for section, want := range map[string][]byte{
		".linux": read(t, "vmlinuz"), ".initrd": read(t, "initramfs.cpio.zst"), ".cmdline": []byte(m.CommandLine), ".uname": []byte(m.Kernel),
	} {
		if !bytes.Equal(contents[section], want) {
			t.Errorf("section %s does not hold what it should: %d bytes, want %d", section, len(contents[section]), len(want))
		}
	}
	if !bytes.Contains(contents[".osrel"], []byte("VERSION_ID="+m.Version+"\n")) {
		t.Errorf("section .osrel: %q", contents[".osrel"])
	}
}

func TestTheDiskHoldsTheBootLoaderAndInSlotATheUnifiedImage(t *testing.T) {
	for _, f := range []struct{ name, at, path string }{
		{"loader.efi", "1M", disk.BootPath},
		{"weir.efi", fmt.Sprintf("%dM", 1+disk.BootSize>>20), disk.SlotPath},
	} {
		copied := filepath.Join(t.TempDir(), "copy")
		c := exec.Command("mcopy", "-i", file("disk.img")+"@@"+f.at, "::"+f.path, copied)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("mcopy: %v\n%s", err, out)
		}
		want, _ := readManifest(t).Output(f.name)
		if got, err := manifest.Describe(filepath.Dir(copied), "copy"); err != nil || got.SHA256 != want.SHA256 {
			t.Errorf("%s: got %v, %v, want %v", f.name, got, err, want)
		}
	}
}
