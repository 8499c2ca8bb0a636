// Package imagetest looks into the image that "make image" has built.
package imagetest

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"weir/image/manifest"

	"github.com/u-root/mkuimage/cpio"
)

const dir = "../../build/image"

// file is the path of one file of the image.
func file(name string) string { return filepath.Join(dir, name) }

func readManifest(t *testing.T) manifest.Manifest {
	t.Helper()
	m, err := manifest.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// records unpacks an initramfs.
func records(t *testing.T, path string) []cpio.Record {
	t.Helper()
	c := exec.Command("zstd", "-dcq", "--long=27", path)
	var out, stderr bytes.Buffer
	c.Stdout, c.Stderr = &out, &stderr
	if err := c.Run(); err != nil {
		t.Fatalf("zstd: %v: %s", err, stderr.String())
	}
	list, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(out.Bytes())))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return list
}

func contents(t *testing.T, r cpio.Record) []byte {
	t.Helper()
	data, err := io.ReadAll(io.NewSectionReader(r, 0, int64(r.FileSize)))
	if err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	return data
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(file(name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
