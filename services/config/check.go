package config

import (
	"slices"
	"strings"
)

var (
	idForm        = form(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,62})$`)
	interfaceForm = form(`^[^/:\s\x00]{1,15}$`)
)

// id checks a name that appears in labels, file names and messages.
func (d *document) id(path, s string) {
	if !idForm().MatchString(s) {
		d.fail(path, "use letters, digits, dots, dashes and underscores, 63 at most", "%q is not an id", s)
	}
}

// interfaceName checks the name of a network interface (IFNAMSIZ is 16 with the end mark).
func (d *document) interfaceName(path, s string) {
	if !interfaceForm().MatchString(s) || s == "." || s == ".." {
		d.fail(path, "an interface name has 1 to 15 characters, no space, slash or colon", "%q is not an interface name", s)
	}
}

func (d *document) notEmpty(path, s string) {
	if s == "" || strings.ContainsRune(s, 0) {
		d.fail(path, "give a value or remove the key", "is empty")
	}
}

func (d *document) oneOf(path, s string, known ...string) {
	if !slices.Contains(known, s) {
		d.fail(path, "use one of: "+strings.Join(known, ", "), "%q is not known", s)
	}
}

func (d *document) within(path string, v, low, high int) {
	if v < low || v > high {
		d.fail(path, "", "%d is out of range, %d to %d", v, low, high)
	}
}
