// Package trust is a node's side of signed updates (S-104): it decides which
// releases of a bundle or a repository may be installed. It follows the client
// workflow of the TUF specification, 5.3 to 5.6; go-tuf's trusted set does the
// checks of signatures, versions and expiry, this package where metadata comes
// from, what is remembered, and what an operator reads when something is refused.
//
// Nothing of an update is written by this package but the metadata that has been
// verified. Time is always an argument.
package trust

import (
	"context"
	"fmt"
	"io"

	"weir/firmware/refusal"
)

// Largest metadata files that are read, in bytes.
const (
	MaxRoot      = 64 << 10
	MaxTimestamp = 16 << 10
	MaxSnapshot  = 64 << 10
	MaxTargets   = 1 << 20
)

// MaxRotations is how many new roots are taken in one go.
const MaxRotations = 256

// Source is where an update comes from: a bundle, a folder, an HTTP server. What
// it gives is not trusted. An error that is fs.ErrNotExist says that there is no
// such file; no others are taken for that.
type Source interface {
	// Metadata reads a file of metadata/; one of more than limit bytes is an error.
	Metadata(ctx context.Context, name string, limit int64) ([]byte, error)
	// Target opens a file of targets/ from its beginning.
	Target(ctx context.Context, name string) (io.ReadCloser, error)
	// String names the source in errors.
	String() string
}

// Partial is a source that does not hold the files of every release it has
// metadata of, and knows which it holds. A bundle is one.
type Partial interface {
	Holds(target string) bool
}

// ReadAll reads metadata of at most limit bytes; place names it in the error.
func ReadAll(r io.Reader, place string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", place, err)
	}
	if int64(len(data)) > limit {
		return nil, refusal.New(refusal.TooLarge, makeAnew, "%s is larger than %d bytes", place, limit)
	}
	return data, nil
}
