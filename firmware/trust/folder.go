package trust

import (
	"context"
	"io"
	"os"
)

// Folder is a repository in a directory.
type Folder struct {
	dir  string
	root *os.Root // links in it cannot lead out of it
}

// OpenFolder opens the folder with metadata/ and targets/.
func OpenFolder(dir string) (*Folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Folder{dir: dir, root: root}, nil
}

// Metadata is that of Source.
func (f *Folder) Metadata(_ context.Context, name string, limit int64) ([]byte, error) {
	in, err := f.root.Open("metadata/" + name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return ReadAll(in, "metadata/"+name+" of "+f.dir, limit)
}

// Target is that of Source.
func (f *Folder) Target(_ context.Context, name string) (io.ReadCloser, error) {
	return f.root.Open("targets/" + name)
}

func (f *Folder) String() string { return f.dir }

// Close ends it.
func (f *Folder) Close() error { return f.root.Close() }
