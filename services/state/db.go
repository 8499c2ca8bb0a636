// Package state is the state database of a program (S-102): small records in
// bbolt that survive a restart. Losing it costs nothing: what is torn or corrupt
// is set aside and begun anew, and what a machine cannot boot without is kept
// as an atomically replaced file too.
package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// FileName is the name of the database in a program's state directory.
const FileName = "state.db"

// maxSize bounds what is read of a database, in bytes; small records stay far below it.
const maxSize = 1 << 30

// lockTimeout bounds the wait for another program that has the database open.
const lockTimeout = time.Second

var (
	metaBucket = []byte("meta")
	schemaKey  = []byte("schema")
)

// migrations lead from one schema version to the next: the first makes version
// 1 of an empty database. They are only ever added to.
var migrations = []func(*bbolt.Tx) error{
	func(tx *bbolt.Tx) error { _, err := tx.CreateBucketIfNotExists([]byte(Records)); return err },
}

// Records is the bucket of a program's small records.
const Records = "records"

// ErrNewer is for a database that a newer version of the program has written.
var ErrNewer = errors.New("the database is of a newer version of this program")

// errCorrupt marks what cannot be trusted.
var errCorrupt = errors.New("corrupt")

// DB is an open database.
type DB struct{ bolt *bbolt.DB }

// Open opens the database in a directory and brings it to this program's
// schema. A corrupt one is set aside as state.db.corrupt-TIME. One that another
// program has open, or that a newer version has written, is an error.
func Open(dir string, log *slog.Logger) (*DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	path := filepath.Join(dir, FileName)
	db, err := open(path)
	if errors.Is(err, errCorrupt) {
		aside := path + ".corrupt-" + time.Now().UTC().Format("20060102T150405.000Z")
		log.Error("the state database is corrupt; it is set aside and begun anew", "database", path, "aside", aside, "error", err)
		if err := os.Rename(path, aside); err != nil {
			return nil, fmt.Errorf("set the corrupt state database aside: %w", err)
		}
		db, err = open(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open state database %s: %w", path, err)
	}
	return db, nil
}

// Close closes the database.
func (d *DB) Close() error { return d.bolt.Close() }

func open(path string) (*DB, error) {
	b, err := bbolt.Open(path, 0o600, &bbolt.Options{OpenFile: openChecked})
	if err != nil {
		return nil, err
	}
	if err := migrate(b); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return &DB{b}, nil
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
			return errors.New("another program has it open; stop that one, or give this one its own state_dir")
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

// migrate brings an older schema to the newest, in one transaction.
func migrate(b *bbolt.DB) error {
	return b.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return fmt.Errorf("make bucket: %w", err)
		}
		version := uint64(0)
		if v := meta.Get(schemaKey); len(v) == 8 {
			version = binary.BigEndian.Uint64(v)
		}
		if version > uint64(len(migrations)) {
			return fmt.Errorf("%w (schema %d, known %d)", ErrNewer, version, len(migrations))
		}
		for ; version < uint64(len(migrations)); version++ {
			if err := migrations[version](tx); err != nil {
				return fmt.Errorf("migrate to schema %d: %w", version+1, err)
			}
		}
		return meta.Put(schemaKey, binary.BigEndian.AppendUint64(nil, version))
	})
}

// Get is a record; nil if there is none.
func (d *DB) Get(key string) ([]byte, error) {
	var out []byte
	err := d.bolt.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket([]byte(Records)).Get([]byte(key)); v != nil {
			out = append([]byte{}, v...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s from the state database: %w", key, err)
	}
	return out, nil
}

// Put writes a record; it is on the disk when Put returns.
func (d *DB) Put(key string, value []byte) error {
	err := d.bolt.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(Records)).Put([]byte(key), value) })
	if err != nil {
		return fmt.Errorf("write %s to the state database: %w", key, err)
	}
	return nil
}

// Delete removes a record; one that is not there is no error.
func (d *DB) Delete(key string) error {
	err := d.bolt.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(Records)).Delete([]byte(key)) })
	if err != nil {
		return fmt.Errorf("remove %s from the state database: %w", key, err)
	}
	return nil
}
