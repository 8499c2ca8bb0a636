// Package bundle reads and writes updates in one file, for machines without a
// network (S-104). A bundle is a plain tar of a TUF repository: metadata first,
// then the files of one release, and nothing else.
//
// What a bundle says is verified by package trust; this package sees to it that
// reading a hostile one costs no more than reading a good one.
package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"weir/firmware/refusal"
	"weir/firmware/release"
	"weir/firmware/trust"
)

// Bounds of a bundle.
const (
	// MaxEntries: every root since the first, the other metadata, the files of a
	// release.
	MaxEntries = 1024
	// MaxSize in bytes.
	MaxSize = 1 << 30

	block   = 512
	trailer = 2 * block // zeros at the end of a tar
)

var (
	metadataName = regexp.MustCompile(`^metadata/(timestamp|[1-9][0-9]{0,9}\.(root|snapshot|targets))\.json$`)
	targetName   = regexp.MustCompile(`^targets/[0-9a-f]{64}\.[a-z][a-z0-9.]{0,31}$`)
)

// Bundle is an open one. It is a trust.Source and a trust.Partial.
type Bundle struct {
	name  string
	in    io.ReaderAt
	files map[string]*io.SectionReader // by name in the tar
	order []string
}

// File is a bundle in a file.
type File struct {
	*Bundle
	io.Closer
}

// OpenFile opens the bundle at path.
func OpenFile(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = malformed(path, "is not a file")
	}
	var b *Bundle
	if err == nil {
		b, err = Open(f, info.Size(), path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &File{Bundle: b, Closer: f}, nil
}

// Open reads the headers of a bundle of size bytes; name is for errors. All its
// errors but those of in are refusals.
func Open(in io.ReaderAt, size int64, name string) (*Bundle, error) {
	if size > MaxSize {
		return nil, refusal.New(refusal.TooLarge, "give a bundle that was made with weir-bundle", "%s has %d bytes; a bundle has at most %d", name, size, MaxSize)
	}
	b := &Bundle{name: name, in: in, files: map[string]*io.SectionReader{}}
	whole := io.NewSectionReader(in, 0, size)
	t := tar.NewReader(whole)
	for {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, b.broken(err)
		}
		if err := b.accept(h); err != nil {
			return nil, err
		}
		start, err := whole.Seek(0, io.SeekCurrent) // the reader does not read ahead
		if err != nil {
			return nil, err
		}
		b.files[h.Name] = io.NewSectionReader(in, start, h.Size)
		b.order = append(b.order, h.Name)
	}
	return b, b.ended(size)
}

// accept refuses every entry that weir-bundle would not write.
func (b *Bundle) accept(h *tar.Header) error {
	isTarget := targetName.MatchString(h.Name)
	limit := int64(release.MaxFile)
	if !isTarget {
		limit = trust.MaxTargets
	}
	_, twice := b.files[h.Name]
	afterTarget := len(b.order) > 0 && strings.HasPrefix(b.order[len(b.order)-1], "targets/")
	switch {
	// Other formats have ways to give an entry another size or name.
	case h.Format != tar.FormatUSTAR, h.Typeflag != tar.TypeReg, h.Linkname != "":
		return malformed(b.name, "has an entry %.120q that is not a plain file", h.Name)
	case !isTarget && !metadataName.MatchString(h.Name):
		return malformed(b.name, "has an entry %.120q, which no bundle has", h.Name)
	case twice:
		return malformed(b.name, "has %s twice", h.Name)
	case h.Size < 0 || h.Size > limit:
		return refusal.New(refusal.TooLarge, makeAnew, "%s of %s has %d bytes; at most %d are read", h.Name, b.name, h.Size, limit)
	case !isTarget && afterTarget:
		return malformed(b.name, "has %s behind the files that it describes", h.Name)
	case len(b.order) == MaxEntries:
		return malformed(b.name, "has more than %d entries", MaxEntries)
	}
	return nil
}

// ended looks for the end of the tar right behind the last entry, and for nothing
// behind it.
func (b *Bundle) ended(size int64) error {
	var end int64
	if len(b.order) > 0 {
		last := b.files[b.order[len(b.order)-1]]
		_, start, length := last.Outer()
		end = start + (length+block-1)/block*block
	}
	zeros := make([]byte, min(trailer, max(0, size-end)))
	if _, err := b.in.ReadAt(zeros, end); err != nil && err != io.EOF {
		return fmt.Errorf("read %s: %w", b.name, err)
	}
	switch {
	case !bytes.Equal(zeros, make([]byte, len(zeros))) || size > end+trailer:
		return malformed(b.name, "has something behind its end")
	case size < end+trailer:
		return b.truncated()
	case len(b.order) == 0:
		return malformed(b.name, "is empty")
	}
	return nil
}

// broken is for what the tar reader says.
func (b *Bundle) broken(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return b.truncated()
	case errors.Is(err, tar.ErrHeader):
		return malformed(b.name, "is not a bundle, or was damaged")
	}
	return fmt.Errorf("read %s: %w", b.name, err)
}

func (b *Bundle) truncated() error {
	return refusal.New(refusal.Truncated, "copy it again", "%s ends in the middle", b.name)
}

const makeAnew = "make the bundle anew with weir-bundle make"

func malformed(name, format string, args ...any) error {
	return refusal.New(refusal.Malformed, makeAnew, "%s %s", name, fmt.Sprintf(format, args...))
}

// Metadata is that of trust.Source.
func (b *Bundle) Metadata(_ context.Context, name string, limit int64) ([]byte, error) {
	f, found := b.files["metadata/"+name]
	if !found {
		return nil, fs.ErrNotExist
	}
	return trust.ReadAll(io.NewSectionReader(f, 0, f.Size()), "metadata/"+name+" of "+b.name, limit)
}

// Target is that of trust.Source.
func (b *Bundle) Target(_ context.Context, name string) (io.ReadCloser, error) {
	f, found := b.files["targets/"+name]
	if !found {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(io.NewSectionReader(f, 0, f.Size())), nil
}

// Holds is that of trust.Partial.
func (b *Bundle) Holds(target string) bool {
	_, found := b.files["targets/"+target]
	return found
}

// Entries are the files in the bundle's order.
func (b *Bundle) Entries() (list []Entry) {
	for _, name := range b.order {
		list = append(list, Entry{Name: name, Size: b.files[name].Size()})
	}
	return list
}

// Entry is one file.
type Entry struct {
	Name string `json:"name"`
	Size int64  `json:"size"` // bytes
}

func (b *Bundle) String() string { return b.name }
