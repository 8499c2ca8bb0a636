package deb

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// stage is the tree that dpkg-deb packs.
type stage struct {
	dir     string
	release Release
	version string // Debian's form

	sums []string // lines of md5sums
	size int64    // KiB, each file rounded up, as Debian's policy counts
}

// identityDir holds the server's key: nobody else may look.
const identityDir = "var/lib/weir/lbmodule/identity"

func (s *stage) fill() error {
	program, err := os.ReadFile(s.release.Program)
	if err != nil {
		return err
	}
	licenses, err := licensesOf(s.release.Program)
	if err != nil {
		return err
	}
	if err := s.add("usr/sbin/lbmodule", program, 0o755); err != nil {
		return err
	}
	if err := s.addRoot(); err != nil {
		return err
	}
	doc := "usr/share/doc/" + Name + "/"
	for name, text := range map[string][]byte{
		"copyright": []byte(copyright), "changelog.gz": zipped(s.filled(changelog)), "third-party-licenses.gz": zipped(licenses),
	} {
		if err := s.add(doc+name, text, 0o644); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(s.dir, identityDir), 0o755); err != nil {
		return err
	}
	if err := s.addControl(); err != nil {
		return err
	}
	return s.settle()
}

// addRoot adds the files that are installed as they are, but for manual pages,
// which are compressed.
func (s *stage) addRoot() error {
	return fs.WalkDir(sources, "root", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := fs.ReadFile(sources, name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, "root/")
		if strings.HasPrefix(name, "usr/share/man/") {
			return s.add(name+".gz", zipped(s.filled(string(text))), 0o644)
		}
		return s.add(name, s.filled(string(text)), 0o644)
	})
}

func (s *stage) addControl() error {
	entries, err := sources.ReadDir("control")
	if err != nil {
		return err
	}
	slices.Sort(s.sums)
	files := map[string][]byte{"md5sums": []byte(strings.Join(s.sums, ""))}
	for _, e := range entries {
		text, err := sources.ReadFile(path.Join("control", e.Name()))
		if err != nil {
			return err
		}
		files[e.Name()] = s.filled(string(text))
	}
	if err := os.Mkdir(filepath.Join(s.dir, "DEBIAN"), 0o755); err != nil {
		return err
	}
	for name, text := range files {
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(text, []byte("#!")) {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(s.dir, "DEBIAN", name), text, mode); err != nil {
			return err
		}
	}
	return nil
}

// add adds a file that is installed.
func (s *stage) add(name string, content []byte, mode fs.FileMode) error {
	to := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if !strings.HasPrefix(name, "etc/") { // those are the administrator's
		s.sums = append(s.sums, fmt.Sprintf("%x  %s\n", md5.Sum(content), name))
	}
	s.size += int64(len(content)+1023) / 1024
	return os.WriteFile(to, content, mode)
}

// filled is a text with the release in it.
func (s *stage) filled(text string) []byte {
	return []byte(strings.NewReplacer(
		"@VERSION@", s.version,
		"@DATE@", s.release.Time.Format("2006-01-02"),
		"@TIME@", s.release.Time.Format(time.RFC1123Z),
		"@SIZE@", fmt.Sprint(s.size),
	).Replace(text))
}

// settle gives everything its mode, whatever the umask, and its time.
func (s *stage) settle() error {
	return filepath.WalkDir(s.dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		switch {
		case name == filepath.Join(s.dir, identityDir):
			mode = 0o700
		case e.IsDir(), info.Mode()&0o100 != 0:
			mode = 0o755
		}
		if err := os.Chmod(name, mode); err != nil {
			return err
		}
		return os.Chtimes(name, s.release.Time, s.release.Time)
	})
}

// zipped is text compressed, without a time or a name.
func zipped(text []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("deb: compress into memory: " + err.Error())
	}
	return b.Bytes()
}

const changelog = `weir-lbmodule (@VERSION@) stable; urgency=medium

  * Weir @VERSION@.

 -- Weir maintainers <maintainers@weir.example>  @TIME@
`

const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Weir
Comment: The program holds Go modules of others. Their licences are in
 /usr/share/doc/weir-lbmodule/third-party-licenses.gz

Files: *
Copyright: 2026 The Weir authors
License: Weir
 All rights reserved by the Weir authors.
`
