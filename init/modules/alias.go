// Package modules loads the kernel modules that this machine's devices ask for,
// and some that no device names (the phase "modules").
package modules

import (
	"bufio"
	"io"
	"path"
	"strings"
)

// Aliases are the lines of modules.alias: which module drives what.
type Aliases []alias

type alias struct{ pattern, module string }

// ReadAliases reads lines "alias PATTERN MODULE"; others are left out.
func ReadAliases(r io.Reader) (Aliases, error) {
	var all Aliases
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 3 && f[0] == "alias" {
			all = append(all, alias{f[1], f[2]})
		}
	}
	return all, lines.Err()
}

// Modules are those whose pattern the name matches, such as a device's modalias
// "pci:v00001AF4d00001041sv…". A pattern is a glob as of fnmatch(3).
func (a Aliases) Modules(name string) []string {
	var found []string
	// path.Match does not let "*" match a slash; names with one are rare (of
	// devices, "of:" and "platform:"), so they trade it for a byte that is in no alias.
	const slash = "\x01"
	name = strings.ReplaceAll(name, "/", slash)
	for _, l := range a {
		if ok, err := path.Match(strings.ReplaceAll(l.pattern, "/", slash), name); ok && err == nil {
			found = append(found, l.module)
		}
	}
	return found
}
