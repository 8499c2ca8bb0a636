package deb

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// licenseFiles are the names that licences have at the top of a module.
var licenseFiles = []string{"LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING", "NOTICE", "NOTICE.txt", "PATENTS"}

// licensesOf are the licences of everything that a Go program is linked with,
// which whoever passes the program on has to pass on too.
func licensesOf(program string) ([]byte, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("read how %s was built: %w", program, err)
	}
	var modules []string
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Path == "weir" {
			continue // a test's program names the tree as one of its modules
		}
		modules = append(modules, m.Path+"@"+m.Version)
	}
	root, err := goTool("env", "GOROOT")
	if err != nil {
		return nil, err
	}
	list := ""
	if len(modules) > 0 {
		if list, err = goTool(append([]string{"list", "-m", "-f", "{{.Path}} {{.Dir}}"}, modules...)...); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	for line := range strings.Lines("Go " + root + "\n" + list) {
		name, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		if err := addLicenses(&b, name, dir); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func addLicenses(b *bytes.Buffer, name, dir string) error {
	found := false
	for _, file := range licenseFiles {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		found = true
		fmt.Fprintf(b, "==== %s: %s\n\n%s\n", name, file, bytes.TrimSpace(text))
	}
	if !found {
		return fmt.Errorf("module %s has no file with its licence in %q", name, dir)
	}
	return nil
}

func goTool(args ...string) (string, error) {
	var errs bytes.Buffer
	c := exec.Command("go", args...)
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, bytes.TrimSpace(errs.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}
