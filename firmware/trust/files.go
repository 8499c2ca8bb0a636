package trust

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"weir/firmware/refusal"
	"weir/firmware/release"
)

// Open opens a file of a verified release. Its reader ends with a refusal instead
// of io.EOF when the contents are not the signed ones; what was read before that
// must not be used.
func Open(ctx context.Context, src Source, f release.File) (io.ReadCloser, error) {
	r, err := src.Target(ctx, f.Stored())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, refusal.New(refusal.Missing, makeAnew, "%s does not hold targets/%s", src, f.Stored())
	case err != nil:
		return nil, fmt.Errorf("read %s of %s: %w", f.Name, src, err)
	}
	return &checked{ReadCloser: r, file: f, source: src.String(), hash: sha256.New()}, nil
}

// CheckFiles reads every file of a release and compares it with what was signed.
// Progress, if not nil, is called with the bytes read of all of them.
func CheckFiles(ctx context.Context, src Source, r release.Release, progress func(bytes int64)) error {
	var before int64
	for _, f := range r.Files {
		in, err := Open(ctx, src, f)
		if err != nil {
			return err
		}
		err = drain(ctx, in, func(n int64) {
			if progress != nil {
				progress(before + n)
			}
		})
		if err := errors.Join(err, in.Close()); err != nil {
			return err
		}
		before += f.Size
	}
	return nil
}

// drain reads to the end.
func drain(ctx context.Context, in io.Reader, progress func(int64)) error {
	buffer := make([]byte, 1<<20)
	for total := int64(0); ; {
		n, err := in.Read(buffer)
		total += int64(n)
		progress(total)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// checked compares while it reads. It never reads more than one byte beyond the
// signed length.
type checked struct {
	io.ReadCloser
	file   release.File
	source string
	hash   hash.Hash
	read   int64
}

func (c *checked) Read(p []byte) (int, error) {
	if left := c.file.Size - c.read; int64(len(p)) > left+1 {
		p = p[:left+1]
	}
	n, err := c.ReadCloser.Read(p)
	c.hash.Write(p[:n])
	c.read += int64(n)
	switch {
	case c.read > c.file.Size:
		return 0, c.altered("is longer than the %d bytes that were signed", c.file.Size)
	case err == nil:
		return n, nil
	case err != io.EOF:
		return n, fmt.Errorf("read %s of %s: %w", c.file.Name, c.source, err)
	case c.read < c.file.Size:
		return n, c.altered("has %d of the %d bytes that were signed", c.read, c.file.Size)
	case hex.EncodeToString(c.hash.Sum(nil)) != c.file.SHA256:
		return n, c.altered("has other contents than those that were signed")
	}
	return n, io.EOF
}

func (c *checked) altered(format string, args ...any) error {
	return refusal.New(refusal.Altered, "fetch or copy it again; if that does not help, somebody has changed it", "%s of %s %s", c.file.Name, c.source, fmt.Sprintf(format, args...))
}
