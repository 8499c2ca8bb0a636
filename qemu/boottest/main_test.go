// Package boottest boots the real image in QEMU and accepts it as an operator
// sees it: on its serial console.
//
// Tests whose name begins with TestLong are those of "make test-long"; "make
// test" runs the others. Every test has a machine of its own, one after the
// other; the serial log of one that failed stays in build/boottest.
package boottest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/qemu/lab"
	"weir/qemu/vm"
)

var (
	build string // the build directory
	accel string // of QEMU: vm.TCG or vm.KVM
)

func TestMain(m *testing.M) {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func prepare() error {
	var err error
	if build, err = lab.BuildDir(); err != nil {
		return err
	}
	for _, name := range []string{"vmlinuz", "initramfs.cpio.zst", "weir.efi", "disk.img", "manifest.json"} {
		if _, err := os.Stat(image(name)); err != nil {
			return fmt.Errorf("these tests boot the image: %w: run make image", err)
		}
	}
	accel, err = vm.Accelerate(context.Background(), build, image("vmlinuz"))
	return err
}

// image is the path of a file of the image.
func image(name string) string { return filepath.Join(build, "image", name) }

// eventually polls until check returns nil, and fails the test with its last
// error when patience runs out.
func eventually(t *testing.T, patience time.Duration, check func() error) {
	t.Helper()
	if err := poll(patience, check); err != nil {
		t.Fatal(err)
	}
}

func poll(patience time.Duration, check func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %w", patience, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
