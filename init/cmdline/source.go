package cmdline

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

// Kinds of Source.
const (
	Anywhere = ""        // on the state disk if it is there, else built in
	Disk     = "disk"    // node.yaml on the state partition
	BuiltIn  = "builtin" // in the image
	File     = "file"
	URL      = "url"
)

// Source is where the node's configuration comes from.
type Source struct {
	Kind     string
	Location string // the path of a File, the URL of a URL
}

// String names the source for people, without a password.
func (s Source) String() string {
	switch s.Kind {
	case File:
		return s.Location
	case URL:
		return withoutPassword(s.Location)
	case BuiltIn:
		return "built in"
	}
	return "disk"
}

// Source reads weir.config. The error says how to write it.
func (l Line) Source() (Source, error) {
	value, _ := l.Get("weir.config")
	switch value {
	case Anywhere, Disk, BuiltIn:
		return Source{Kind: value}, nil
	}
	if file, ok := strings.CutPrefix(value, "file:"); ok {
		if !path.IsAbs(file) || path.Clean(file) != file {
			return Source{}, fmt.Errorf("weir.config=%s: %q is not an absolute path", value, file)
		}
		return Source{File, file}, nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Source{}, fmt.Errorf("weir.config=%s is none of disk, builtin, file:/PATH, http://… and https://…", withoutPassword(value))
	}
	return Source{URL, value}, nil
}
