// Command weir-deb builds the Debian package of the LB module from the program
// in build/bin. It is run by "make deb", in the folder of the source tree.
package main

import (
	"flag"
	"fmt"
	"os"

	"weir/services/lbmodule/deb"
	"weir/services/version"
)

func main() {
	source := flag.String("source", ".", "folder of the source tree")
	program := flag.String("program", "build/bin/lbmodule", "the built program")
	out := flag.String("out", "build/deb", "folder to write the package into")
	flag.Parse()
	path, err := build(*source, *program, *out)
	if err != nil {
		fmt.Fprintln(os.Stderr, "weir-deb:", err)
		os.Exit(1)
	}
	fmt.Println(path)
}

func build(source, program, out string) (path string, err error) {
	r := deb.Release{Program: program}
	if r.Version, err = version.Of(source); err != nil {
		return "", err
	}
	if r.Time, err = version.BuildTime(source); err != nil {
		return "", err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return "", err
	}
	return deb.Build(r, out)
}
