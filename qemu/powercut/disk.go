package powercut

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Disk writes the disk after a power cut to a new file: base, the disk as it
// was when the recording began, and what Replay makes of it. Both are raw images.
func (l *Log) Disk(base, path string, n int, seed uint64) (err error) {
	from, err := os.Open(base)
	if err != nil {
		return fmt.Errorf("open the disk that was recorded: %w", err)
	}
	defer from.Close()
	to, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create the disk after the power cut: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	size, err := copySparse(to, from)
	if err != nil {
		return fmt.Errorf("copy %s: %w", base, err)
	}
	return l.Replay(to, size, n, seed)
}

// copySparse copies what the file has blocks for, and tells its length.
func copySparse(to, from *os.File) (size int64, err error) {
	if size, err = from.Seek(0, io.SeekEnd); err != nil {
		return 0, err
	}
	if err := to.Truncate(size); err != nil {
		return 0, err
	}
	for at := int64(0); at < size; {
		data, err := from.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // nothing but a hole is left
		} else if err != nil {
			return 0, err
		}
		hole, err := from.Seek(data, unix.SEEK_HOLE)
		if err != nil {
			return 0, err
		}
		if _, err := io.Copy(io.NewOffsetWriter(to, data), io.NewSectionReader(from, data, hole-data)); err != nil {
			return 0, err
		}
		at = hole
	}
	return size, nil
}
