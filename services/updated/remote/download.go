package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"weir/firmware/refusal"
	"weir/firmware/release"
)

// Folder is where downloads lie: one file at a time, named by its contents, so
// that what is there of it is never the beginning of something else.
type Folder string

func (f Folder) path(file release.File) string { return filepath.Join(string(f), file.Stored()) }

// Download brings a verified release's file into the folder, goes on with what is
// there of it, and checks it. progress is called with the bytes that are there. An
// error that is no refusal may go away by itself.
func (f Folder) Download(ctx context.Context, r *Repository, file release.File, progress func(int64)) (path string, err error) {
	path = f.path(file)
	if err := f.Clear(file.Stored()); err != nil {
		return "", err
	}
	there, err := f.room(file)
	if err != nil {
		return "", err
	}
	for {
		err := fetch(ctx, r, file, path, progress)
		if errors.Is(err, fs.ErrNotExist) {
			return "", refusal.New(refusal.Missing, "publish it again, or try again when the repository is complete", "%s does not hold targets/%s", r, file.Stored())
		}
		if err != nil {
			return "", fmt.Errorf("download %s of %s: %w", file.Name, r, err)
		}
		same, err := matches(path, file)
		switch {
		case err != nil:
			return "", err
		case same:
			return path, nil
		}
		if err := os.Remove(path); err != nil {
			return "", err
		}
		if there == 0 {
			return "", refusal.New(refusal.Altered, "publish the release again; if that does not help, somebody has changed it", "%s of %s has other contents than those that were signed", file.Name, r)
		}
		there = 0 // what was there may have been damaged by a power cut: once more from the beginning
	}
}

// Clear removes all but one file; keep may be empty.
func (f Folder) Clear(keep string) error {
	entries, err := os.ReadDir(string(f))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.Name() != keep {
			err = errors.Join(err, os.RemoveAll(filepath.Join(string(f), e.Name())))
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// room refuses a file that the disk has no room for; there is how much of it lies
// in the folder, in bytes.
func (f Folder) room(file release.File) (there int64, err error) {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return 0, err
	}
	if info, err := os.Stat(f.path(file)); err == nil {
		there = info.Size()
	}
	var s unix.Statfs_t
	if err := unix.Statfs(string(f), &s); err != nil {
		return there, fmt.Errorf("room on the state partition: %w", err)
	}
	return there, release.Fits(file.Size, there+int64(s.Bavail)*s.Bsize, "the state partition ("+string(f)+")")
}

// fetch completes the file at path, or adds to it what comes before the error.
func fetch(ctx context.Context, r *Repository, file release.File, path string, progress func(int64)) (err error) {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Sync(), out.Close()) }()
	at, err := out.Seek(0, io.SeekEnd)
	if err != nil || at == file.Size {
		return err
	}
	if at > file.Size {
		at = 0
	}
	body, from, err := r.get(ctx, "targets/"+file.Stored(), at)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := out.Truncate(from); err != nil {
		return err
	}
	if _, err := out.Seek(from, io.SeekStart); err != nil {
		return err
	}
	progress(from)
	return pour(out, body, from, file.Size, progress)
}

// pour writes until the file has its size, and never more.
func pour(out io.Writer, body io.Reader, at, size int64, progress func(int64)) error {
	buffer := make([]byte, burst)
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			if at+int64(n) > size {
				return refusal.New(refusal.Altered, "publish the release again; if that does not help, somebody has changed it", "the server sends more than the %d bytes that were signed", size)
			}
			if _, err := out.Write(buffer[:n]); err != nil {
				return err
			}
			at += int64(n)
			progress(at)
		}
		switch {
		case errors.Is(err, io.EOF) && at == size:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("ends after %d of %d bytes: %w", at, size, io.ErrUnexpectedEOF)
		case err != nil:
			return err
		}
	}
}

// matches compares a file with what was signed.
func matches(path string, file release.File) (bool, error) {
	in, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer in.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, in)
	return n == file.Size && hex.EncodeToString(sum.Sum(nil)) == file.SHA256, err
}
