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

type alias struct {
	prefix  string // of the pattern, up to its first wildcard: most lines differ there
	pattern string
	module  string
}

// slash is what "/" is traded for, in patterns and names: path.Match does not
// let "*" match one. No alias has this byte.
const slash = "\x01"

// ReadAliases reads lines "alias PATTERN MODULE"; others are left out.
func ReadAliases(r io.Reader) (Aliases, error) {
	var all Aliases
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 3 || f[0] != "alias" {
			continue
		}
		pattern := strings.ReplaceAll(f[1], "/", slash)
		prefix := pattern
		if i := strings.IndexAny(pattern, `*?[\`); i >= 0 {
			prefix = pattern[:i]
		}
		all = append(all, alias{prefix, pattern, f[2]})
	}
	return all, lines.Err()
}

// Modules are those whose pattern the name matches, such as a device's modalias
// "pci:v00001AF4d00001041sv…". A pattern is a glob as of fnmatch(3).
func (a Aliases) Modules(name string) []string {
	var found []string
	name = strings.ReplaceAll(name, "/", slash)
	for _, l := range a {
		if !strings.HasPrefix(name, l.prefix) {
			continue
		}
		if ok, err := path.Match(l.pattern, name); ok && err == nil {
			found = append(found, l.module)
		}
	}
	return found
}
