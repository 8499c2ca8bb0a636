package state

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// maxSize bounds what is read of a database, in bytes; small records stay far below it.
const maxSize = 1 << 30

// lockTimeout bounds the wait for another program that has the database open.
const lockTimeout = time.Second

// keepCorrupt is how many databases that were set aside are kept.
const keepCorrupt = 3

var (
	// errCorrupt marks what cannot be trusted.
	errCorrupt = errors.New("corrupt")
	errTaken   = errors.New("another program has it open; stop that one, or give this one its own state_dir")
)

// openOrBegin opens a database for writing. A corrupt one is set aside.
func openOrBegin(path string, log *slog.Logger) (b *bbolt.DB, aside string, err error) {
	if b, err = open(path); !errors.Is(err, errCorrupt) {
		return b, "", err
	}
	aside = path + ".corrupt-" + time.Now().UTC().Format("20060102T150405.000Z")
	log.Error("the state database is corrupt; it is set aside and begun anew", "database", path, "aside", aside, "error", err)
	if err := os.Rename(path, aside); err != nil {
		return nil, "", fmt.Errorf("set the corrupt one aside: %w", err)
	}
	if all, err := filepath.Glob(path + ".corrupt-*"); err == nil && len(all) > keepCorrupt {
		slices.Sort(all) // by time
		for _, old := range all[:len(all)-keepCorrupt] {
			_ = os.Remove(old) // in the worst case it stays
		}
	}
	b, err = open(path)
	return b, aside, err
}

func open(path string) (*bbolt.DB, error) {
	_, there := os.Stat(path)
	b, err := bbolt.Open(path, 0o600, &bbolt.Options{OpenFile: openChecked})
	if err == nil {
		if err = migrate(b); err != nil {
			err = errors.Join(err, b.Close())
		}
	}
	if err != nil {
		if errors.Is(there, os.ErrNotExist) {
			_ = os.Remove(path) // half of a new one is not to look like a corrupt one
		}
		return nil, err
	}
	return b, nil
}

// openReadOnly opens a database that cannot be written, if it can be read; nil
// if not.
func openReadOnly(path string) *bbolt.DB {
	b, err := bbolt.Open(path, 0o600, &bbolt.Options{OpenFile: openChecked, ReadOnly: true})
	if err != nil {
		return nil
	}
	if version, err := schema(b); err != nil || version > uint64(len(migrations)) {
		b.Close()
		return nil
	}
	return b
}

// openChecked opens a database's file, takes its lock, which is the one that
// bbolt takes then, and checks it: without the lock a commit of another program
// could pass for damage.
func openChecked(path string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	err = lock(f)
	if err == nil {
		err = checkFile(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func lock(f *os.File) error {
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return fmt.Errorf("lock: %w", err)
		case time.Now().After(deadline):
			return errTaken
		}
	}
}

func checkFile(f *os.File) error {
	file, err := io.ReadAll(io.NewSectionReader(f, 0, maxSize))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if len(file) == 0 {
		return nil // it is being made
	}
	if err := checkPages(file); err != nil {
		return fmt.Errorf("%w: %v", errCorrupt, err)
	}
	return nil
}
