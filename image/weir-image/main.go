// Command weir-image builds the appliance image from the programs in build/bin,
// Debian's kernel and u-root's commands (S-100). It is run by "make image", in
// the folder of the source tree.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

func main() {
	var b build
	flag.StringVar(&b.source, "source", ".", "folder of the source tree")
	flag.StringVar(&b.bin, "bin", "build/bin", "folder with Weir's programs")
	flag.StringVar(&b.out, "out", "build/image", "folder to write the image into")
	flag.StringVar(&b.work, "work", "build/image-work", "folder for what can be used again in the next build")
	flag.StringVar(&b.trust, "trust", developmentRoot, "root of the updates that the image takes")
	flag.StringVar(&b.sign, "sign", "", "folder with keys of Secure Boot, to sign what firmware starts")
	flag.StringVar(&b.firmware, "firmware", "", "folder with files for /lib/firmware, if there are any")
	flag.BoolVar(&b.updateLock, "update-lock", false, "write the lock file anew from what is used")
	flag.Parse()
	err := b.absolute()
	if err == nil {
		err = b.alone(b.run)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "weir-image:", err)
		os.Exit(1)
	}
}

// build is one run. All folders become absolute.
type build struct {
	source, bin, out, work string
	trust                  string // path of root.json
	sign                   string // folder of keys; may be empty
	firmware               string // may be empty
	updateLock             bool
}

func (b *build) absolute() error {
	for _, dir := range []*string{&b.source, &b.bin, &b.out, &b.work} {
		var err error
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
	}
	for _, dir := range []string{b.out, b.work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// alone waits until no other build works in the same folder.
func (b *build) alone(run func() error) error {
	f, err := os.Create(filepath.Join(b.work, "lock"))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return run()
}
