// Package inputs fetches what an image is made from and says whether it is what
// the lock file expects (S-100).
package inputs

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Input is one thing that goes into an image: a Debian package, the Go toolchain.
type Input struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// SHA256 is that of the package file in hex, and empty for what is taken as
	// installed on the building machine.
	SHA256 string `json:"sha256,omitempty"`
}

// Lock is what the lock file expects, in the order of the file.
type Lock []Input

// ParseLock reads lines of name, version and SHA-256 (or "-"), separated by
// blanks. Empty lines and those that begin with # say nothing.
func ParseLock(text []byte) (Lock, error) {
	var lock Lock
	scanner := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; scanner.Scan(); n++ {
		fields := strings.Fields(scanner.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 3 {
			return nil, fmt.Errorf("lock file, line %d: want name, version and SHA-256 or \"-\"", n)
		}
		in := Input{Name: fields[0], Version: fields[1], SHA256: strings.TrimPrefix(fields[2], "-")}
		if in.SHA256 != "" && len(in.SHA256) != 64 {
			return nil, fmt.Errorf("lock file, line %d: a SHA-256 has 64 digits", n)
		}
		if _, twice := lock.Find(in.Name); twice {
			return nil, fmt.Errorf("lock file, line %d: %s a second time", n, in.Name)
		}
		lock = append(lock, in)
	}
	return lock, scanner.Err()
}

// Find is the entry of that name.
func (l Lock) Find(name string) (Input, bool) {
	i := slices.IndexFunc(l, func(in Input) bool { return in.Name == name })
	if i < 0 {
		return Input{}, false
	}
	return l[i], true
}

// FindPrefix is the first entry whose name begins so: the kernel's package has
// its version in its name.
func (l Lock) FindPrefix(prefix string) (Input, bool) {
	i := slices.IndexFunc(l, func(in Input) bool { return strings.HasPrefix(in.Name, prefix) })
	if i < 0 {
		return Input{}, false
	}
	return l[i], true
}

// Format writes inputs as a lock file that expects them.
func Format(list []Input) []byte {
	var b bytes.Buffer
	b.WriteString("# What an image is made from: name, version, SHA-256 of the package file (or -).\n" +
		"# \"make image\" warns when it finds something else. To accept what is there:\n" +
		"#   make image LOCK=update\n")
	for _, in := range list {
		hash := in.SHA256
		if hash == "" {
			hash = "-"
		}
		fmt.Fprintf(&b, "%s %s %s\n", in.Name, in.Version, hash)
	}
	return b.Bytes()
}

// Differences are one line for each input that is not as the lock expects, and
// for each expected one that is missing.
func (l Lock) Differences(list []Input) (lines []string) {
	for _, in := range list {
		want, found := l.Find(in.Name)
		switch {
		case !found:
			lines = append(lines, fmt.Sprintf("%s %s is not in the lock file", in.Name, in.Version))
		case want.Version != in.Version:
			lines = append(lines, fmt.Sprintf("%s is %s, the lock file expects %s", in.Name, in.Version, want.Version))
		case want.SHA256 != in.SHA256:
			lines = append(lines, fmt.Sprintf("%s %s has the SHA-256 %s, the lock file expects %s", in.Name, in.Version, in.SHA256, want.SHA256))
		}
	}
	for _, want := range l {
		if !slices.ContainsFunc(list, func(in Input) bool { return in.Name == want.Name }) {
			lines = append(lines, fmt.Sprintf("%s %s is expected by the lock file and not used", want.Name, want.Version))
		}
	}
	return lines
}
