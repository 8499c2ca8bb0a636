package boottest

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/u-root/u-root/pkg/cpio"
)

// builtIn is the image's initramfs with a configuration built in: a second
// archive behind it, as the kernel takes them
// (linux/Documentation/driver-api/early-userspace/buffer-format.rst).
func builtIn(t *testing.T, c configuration) string {
	t.Helper()
	c = c.edit(t, "cluster_file: cluster.yaml", "cluster_file: /etc/weir/cluster.yaml")
	var archive bytes.Buffer
	w := cpio.Newc.Writer(&archive)
	records := []cpio.Record{cpio.Directory("etc", 0o755), cpio.Directory("etc/weir", 0o755)}
	for name, text := range c.files() {
		records = append(records, cpio.StaticFile("etc/weir/"+name, text, 0o600))
	}
	if err := cpio.WriteRecords(w, records); err != nil {
		t.Fatal(err)
	}
	if err := cpio.WriteTrailer(w); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(image("initramfs.cpio.zst"))
	if err != nil {
		t.Fatal(err)
	}
	pad := make([]byte, -len(first)&3) // archives begin at multiples of four bytes
	out, err := io.ReadAll(io.MultiReader(bytes.NewReader(first), bytes.NewReader(pad), &archive))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "initramfs")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
