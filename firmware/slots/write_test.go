package slots

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	testSize  = 36 << 20 // of a slot
	testStart = 65 << 20
	testPath  = "EFI/weir/weir.efi"
)

// image is one of n bytes that look like nothing.
func image(n int, seed uint64) ([]byte, Image) {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
	return b, Image{From: bytes.NewReader(b), Size: int64(n), SHA256: sha256.Sum256(b)}
}

func layout(t *testing.T, n int64) volume {
	t.Helper()
	v, err := newVolume(testSize, testStart, "WEIR-B", testPath, n, 0)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// saved is a file with the bytes.
func saved(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "slot")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "LC_ALL=C", "MTOOLS_SKIP_CHECK=1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestOthersReadTheFileSystem(t *testing.T) {
	for _, n := range []int{1, block, 2_000_001, 5 << 20} {
		content, i := image(n, 1)
		d := newSimulated(bytes.Repeat([]byte{0xa5}, testSize))
		if err := layout(t, i.Size).write(context.Background(), d, i); err != nil {
			t.Fatal(err)
		}
		slot := saved(t, d.content)
		if out := command(t, "/sbin/fsck.vfat", "-n", "-v", slot); strings.Contains(out, "differ") || strings.Contains(out, "rong") || !strings.Contains(out, "FATs, 32 bit entries") {
			t.Errorf("%d bytes: %s", n, out)
		}
		if got, err := readFAT(d.content, testPath); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: the reader of these tests gets %d, %v", n, len(got), err)
		}
		copied := filepath.Join(t.TempDir(), "copy")
		command(t, "mcopy", "-i", slot, "::"+testPath, copied)
		if got, err := os.ReadFile(copied); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: mcopy gets %d, %v", n, len(got), err)
		}
		if out := command(t, "mdir", "-/", "-b", "-i", slot, "::"); strings.TrimSpace(out) != "::/EFI/\n::/EFI/weir/\n::/EFI/weir/weir.efi" {
			t.Errorf("mdir shows %q", out)
		}
	}
}

func TestTheSizeOfASlotAsBuilt(t *testing.T) {
	for _, size := range []int64{64 << 20, 256 << 20, 512 << 20} {
		v, err := newVolume(size, testStart, "WEIR-A", testPath, 36<<20, 0)
		if err != nil {
			t.Fatal(err)
		}
		if v.clusters < 65525 || v.dataAt()%block != 0 || v.dataAt()+v.clusters*v.clusterBytes() > size || v.fat*sector/4 < v.clusters+2 {
			t.Errorf("%d MiB: %+v", size>>20, v)
		}
	}
}

func TestAnImageThatDoesNotFitIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	for size, n := range map[int64]int64{testSize: testSize, 8 << 20: 1, 256 << 20: 256 << 20} {
		if _, err := newVolume(size, testStart, "WEIR-B", testPath, n, 0); !errors.Is(err, ErrTooSmall) {
			t.Errorf("%d bytes into %d: %v", n, size, err)
		}
	}
	for _, n := range []int64{0, -1, 1 << 40} {
		if _, err := newVolume(testSize, testStart, "WEIR-B", testPath, n, 0); err == nil {
			t.Errorf("an image of %d bytes is taken", n)
		}
	}
}

func TestWhatIsWrongLeavesNothingThatCouldBeStarted(t *testing.T) {
	_, whole := image(3<<20, 1)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		change func(i *Image, d *simulated)
		want   error
	}{
		"another image":     {context.Background(), func(i *Image, _ *simulated) { i.SHA256[0] ^= 1 }, errSource},
		"too short":         {context.Background(), func(i *Image, _ *simulated) { i.From = strings.NewReader("x") }, io.ErrUnexpectedEOF},
		"the disk forgets":  {context.Background(), func(_ *Image, d *simulated) { d.damage = 2 << 20 }, errDisk},
		"a table is wrong":  {context.Background(), func(_ *Image, d *simulated) { d.damage = 20 << 10 }, errDisk},
		"a folder is wrong": {context.Background(), func(_ *Image, d *simulated) { d.damage = layout(t, 3<<20).dataAt() + 3 }, errDisk},
		"interrupted":       {cancelled, func(*Image, *simulated) {}, context.Canceled},
	} {
		content, i := image(3<<20, 1)
		i.From = bytes.NewReader(content)
		d := newSimulated(oldSlot(t))
		c.change(&i, d)
		if err := layout(t, whole.Size).write(c.ctx, d, i); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if _, err := readFAT(d.content, testPath); !errors.Is(err, errNotBootable) {
			t.Errorf("%s: the slot can be read: %v", name, err)
		}
	}
}

func TestProgressEndsWithAllWrittenAndReadBack(t *testing.T) {
	_, i := image(3<<20+5, 1)
	var last int64
	i.Progress = func(done int64) {
		if done < last {
			t.Errorf("%d after %d", done, last)
		}
		last = done
	}
	if err := layout(t, i.Size).write(context.Background(), newSimulated(make([]byte, testSize)), i); err != nil || last != 2*i.Size {
		t.Errorf("progress ended at %d of %d, %v", last, 2*i.Size, err)
	}
}
