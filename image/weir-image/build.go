package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"weir/firmware/loader"
	"weir/image/disk"
	"weir/image/inputs"
	"weir/image/manifest"
	"weir/image/modules"
	"weir/image/uki"
	"weir/services/version"
)

// commandLine is what the kernel is told; the reasons are in docs/image.md.
const commandLine = "console=tty0 console=ttyS0,115200 init=/init panic=10 oops=panic loglevel=5 intel_iommu=on iommu=pt init_on_alloc=0 no_timer_check"

// The files of an image.
const (
	kernelFile    = "vmlinuz"
	initramfsFile = "initramfs.cpio.zst"
	unifiedFile   = "weir.efi"
	loaderFile    = "loader.efi"
	diskFile      = "disk.img"
)

func (b *build) run() error {
	in, err := b.fetch()
	if err != nil {
		return err
	}
	r, err := b.release(in)
	if err != nil {
		return err
	}
	trusted, err := readTrust(b.trust)
	if err != nil {
		return err
	}
	if r.signedBy, err = b.signer(); err != nil {
		return err
	}
	key, err := b.key(in, r, trusted)
	if err != nil {
		return err
	}
	m, current := b.current(key)
	if !current {
		if m, err = b.make(in, r, trusted); err != nil {
			return err
		}
		if err := b.remember(key); err != nil {
			return err
		}
	}
	fmt.Print(table(m, relative(b.source, b.out)))
	if b.trust == developmentRoot {
		fmt.Println("\nIt takes updates of development keys. For machines that serve: make image TRUST=root.json (docs/releases.md)")
	}
	return nil
}

func (b *build) release(in sources) (r release, err error) {
	if r.Version, err = version.Of(b.source); err != nil {
		return r, err
	}
	if r.BuildTime, err = version.BuildTime(b.source); err != nil {
		return r, err
	}
	r.Kernel, err = modules.Version(in.kernel.Root)
	return r, err
}

// make writes all files of the image. Each appears under its name when it is
// complete.
func (b *build) make(in sources, r release, trusted []byte) (m manifest.Manifest, err error) {
	a, err := b.root(in, r, trusted)
	if err != nil {
		return m, err
	}
	m = manifest.Manifest{Version: r.Version, BuildTime: r.BuildTime, Kernel: r.Kernel, CommandLine: commandLine, TrustedRoot: fmt.Sprintf("%x", sha256.Sum256(trusted)), SignedBy: r.signedBy, Locked: in.locked, Inputs: in.all}
	if m.Space, err = groups(a); err != nil {
		return m, err
	}
	if err := writeContents(b.out, a); err != nil {
		return m, err
	}
	archive := filepath.Join(b.work, "initramfs.cpio")
	if err := a.Write(b.work, archive); err != nil {
		return m, err
	}
	if err := compress(archive, filepath.Join(b.out, initramfsFile)); err != nil {
		return m, err
	}
	if err := copyFile(filepath.Join(in.kernel.Root, "boot", "vmlinuz-"+r.Kernel), filepath.Join(b.out, kernelFile)); err != nil {
		return m, err
	}
	unified := uki.Image{
		Stub:      filepath.Join(in.stub.Root, "usr/lib/systemd/boot/efi/linuxx64.efi.stub"),
		Kernel:    filepath.Join(b.out, kernelFile),
		Initramfs: filepath.Join(b.out, initramfsFile),
		OSRelease: fmt.Sprintf("ID=weir\nNAME=Weir\nPRETTY_NAME=\"Weir %s\"\nVERSION_ID=%s\n", r.Version, r.Version),

		CommandLine: commandLine,
		Uname:       r.Kernel,
	}
	if err := unified.Write(b.work, filepath.Join(b.out, unifiedFile)); err != nil {
		return m, err
	}
	if err := b.signFile(unifiedFile); err != nil {
		return m, err
	}
	boot := loader.Loader{GNUEFI: in.gnuEFI.Root, SlotA: disk.GUID(disk.SlotA), SlotB: disk.GUID(disk.SlotB), SlotPath: disk.SlotPath}
	if err := boot.Build(b.work, filepath.Join(b.out, loaderFile)); err != nil {
		return m, err
	}
	if err := b.signFile(loaderFile); err != nil {
		return m, err
	}
	contents := disk.Contents{Loader: filepath.Join(b.out, loaderFile), Unified: filepath.Join(b.out, unifiedFile), When: r.BuildTime}
	if err := contents.Make(b.work, filepath.Join(b.out, diskFile)); err != nil {
		return m, err
	}
	for _, name := range []string{kernelFile, initramfsFile, unifiedFile, loaderFile, diskFile} {
		o, err := manifest.Describe(b.out, name)
		if err != nil {
			return m, err
		}
		m.Outputs = append(m.Outputs, o)
	}
	return m, m.Write(b.out)
}

// compress uses a level that packs as well as the image needs and takes seconds.
// How many threads there are makes no difference to the output.
func compress(from, to string) error {
	part := to + ".part"
	c := exec.Command("zstd", "--quiet", "--force", "-12", "--long=25", "-T2", from, "-o", part)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, strings.TrimSpace(string(out)))
	}
	return os.Rename(part, to)
}

// key changes with everything that the image depends on, this program included.
func (b *build) key(in sources, r release, trusted []byte) (string, error) {
	var text strings.Builder
	text.WriteString(r.text())
	fmt.Fprintf(&text, "trusted root %x\nsigned by %s\n", sha256.Sum256(trusted), r.signedBy)
	for _, i := range in.all {
		fmt.Fprintln(&text, i.Name, i.Version, i.SHA256)
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	files := []string{self, filepath.Join(b.source, "go.mod"), filepath.Join(b.source, "go.sum")}
	for _, p := range programs {
		files = append(files, filepath.Join(b.bin, p.name))
	}
	for _, path := range files {
		hash, err := inputs.HashFile(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&text, filepath.Base(path), hash)
	}
	return text.String(), nil
}

// keyFile lies beside the image that it belongs to.
func (b *build) keyFile() string { return filepath.Join(b.out, ".made-of") }

func (b *build) remember(key string) error { return os.WriteFile(b.keyFile(), []byte(key), 0o644) }

// current is the image that is there, if it was made of the same and is complete.
func (b *build) current(key string) (manifest.Manifest, bool) {
	m, err := manifest.Read(b.out)
	made, err2 := os.ReadFile(b.keyFile())
	if err != nil || err2 != nil || string(made) != key {
		return m, false
	}
	for _, o := range m.Outputs {
		if there, err := manifest.Describe(b.out, o.Name); err != nil || there != o {
			return m, false
		}
	}
	return m, true
}

func relative(base, path string) string {
	if r, err := filepath.Rel(base, path); err == nil && !strings.HasPrefix(r, "..") {
		return r
	}
	return path
}
