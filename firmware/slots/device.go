package slots

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device is a partition. Offsets and lengths are multiples of 4096 bytes.
type Device interface {
	io.ReaderAt
	io.WriterAt
	// Sync returns when what was written is on the disk.
	Sync() error
	Size() int64 // bytes
}

// File is a partition of the machine's, read and written without the page cache:
// what is read comes from the disk.
type File struct {
	path   string
	fd     int
	size   int64
	bounce []byte // aligned, as the disk's driver wants it
}

const bounceSize = 1 << 20

// open refuses a partition that something else uses (O_EXCL, open(2)).
func open(path string) (*File, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_DIRECT|unix.O_EXCL|unix.O_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("open %s: it is mounted: unmount it: %w", path, err)
		}
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	size, err := unix.Seek(fd, 0, io.SeekEnd)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("size of %s: %w", path, err)
	}
	memory := make([]byte, bounceSize+block)
	skip := int(-uintptr(unsafe.Pointer(&memory[0])) % block)
	return &File{path: path, fd: fd, size: size, bounce: memory[skip:][:bounceSize]}, nil
}

// ReadAt reads whole blocks.
func (f *File) ReadAt(b []byte, at int64) (int, error) {
	return f.pieces("read", b, at, func(n, done int) (int, error) {
		got, err := unix.Pread(f.fd, f.bounce[:n], at+int64(done))
		if err == nil && got > 0 {
			copy(b[done:], f.bounce[:got])
		}
		return got, err
	})
}

// WriteAt writes whole blocks.
func (f *File) WriteAt(b []byte, at int64) (int, error) {
	return f.pieces("write", b, at, func(n, done int) (int, error) {
		copy(f.bounce, b[done:done+n])
		return unix.Pwrite(f.fd, f.bounce[:n], at+int64(done))
	})
}

func (f *File) pieces(what string, b []byte, at int64, one func(n, done int) (int, error)) (done int, err error) {
	if at%block != 0 || len(b)%block != 0 {
		return 0, fmt.Errorf("%s %s: %d bytes at %d are no whole blocks", what, f.path, len(b), at)
	}
	for done < len(b) {
		n, err := one(min(len(b)-done, bounceSize), done)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && (n <= 0 || n%block != 0) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return done, fmt.Errorf("%s %s at byte %d: %w", what, f.path, at+int64(done), err)
		}
		done += n
	}
	return done, nil
}

// Sync makes the disk write its own cache.
func (f *File) Sync() error {
	if err := unix.Fsync(f.fd); err != nil {
		return fmt.Errorf("flush %s: %w", f.path, err)
	}
	return nil
}

// Size is that of the partition in bytes.
func (f *File) Size() int64 { return f.size }

// Close ends the use of it.
func (f *File) Close() error { return unix.Close(f.fd) }
