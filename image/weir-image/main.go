// Command weir-image builds the appliance image from the programs in build/bin,
// Debian's kernel and u-root's commands (S-100). It is run by "make image", in
// the folder of the source tree.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	var b build
	flag.StringVar(&b.source, "source", ".", "folder of the source tree")
	flag.StringVar(&b.bin, "bin", "build/bin", "folder with Weir's programs")
	flag.StringVar(&b.out, "out", "build/image", "folder to write the image into")
	flag.StringVar(&b.work, "work", "build/image-work", "folder for what can be used again in the next build")
	flag.BoolVar(&b.updateLock, "update-lock", false, "write the lock file anew from what is used")
	flag.Parse()
	if err := b.run(); err != nil {
		fmt.Fprintln(os.Stderr, "weir-image:", err)
		os.Exit(1)
	}
}

// build is one run. All folders become absolute.
type build struct {
	source, bin, out, work string
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
