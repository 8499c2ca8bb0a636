// Package state is the state database of a program (S-102): small records in
// bbolt that survive a restart. Losing it costs nothing: what is torn or corrupt
// is set aside and begun anew, what cannot be written is kept in memory, and what
// a machine cannot boot without is kept as an atomically replaced file too.
package state

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"go.etcd.io/bbolt"
)

// FileName is the name of the database in a program's state directory.
const FileName = "state.db"

// ErrNewer is for a database that a newer version of the program has written.
var ErrNewer = errors.New("it is of a newer version of this program, which alone can read it")

// DB is an open database.
type DB struct {
	log   *slog.Logger
	path  string
	aside string

	mu      sync.Mutex
	bolt    *bbolt.DB         // nil: everything is in memory
	memory  map[record][]byte // what the file does not have; nil: removed
	failure error             // why it has not; nil: it has everything
}

// record names a value.
type record struct{ bucket, key string }

// Open opens the database in a directory and brings it to this program's
// schema. A corrupt one is set aside as state.db.corrupt-TIME. With one that
// cannot be written, or that a newer version has written, the program works from
// memory, and Failure says why. Only that another program has it open is an error.
func Open(dir string, log *slog.Logger) (*DB, error) {
	d := &DB{log: log, path: filepath.Join(dir, FileName), memory: map[record][]byte{}}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		d.bolt, d.aside, err = openOrBegin(d.path, log)
	}
	switch {
	case err == nil:
	case errors.Is(err, errTaken):
		return nil, fmt.Errorf("open state database %s: %w", d.path, err)
	default:
		if !errors.Is(err, ErrNewer) {
			d.bolt = openReadOnly(d.path)
		}
		d.fail(fmt.Errorf("open state database %s: %w", d.path, err))
	}
	return d, nil
}

// Close closes the database.
func (d *DB) Close() error {
	if d.bolt == nil {
		return nil
	}
	return d.bolt.Close()
}

// SetAside is where the corrupt database is that was found instead of this one;
// empty: there was none.
func (d *DB) SetAside() string { return d.aside }

// Failure is why the newest records are in memory only; nil: they are on the disk.
func (d *DB) Failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failure
}

func (d *DB) fail(err error) {
	if d.failure == nil || d.failure.Error() != err.Error() {
		d.log.Error("state is kept in memory only, and forgotten with the next restart", "error", err)
	}
	d.failure = err
}

// Get is a record; nil if there is none.
func (d *DB) Get(key string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v, ok := d.memory[record{Records, key}]; ok {
		return v, nil
	}
	var out []byte
	err := d.read(Records, func(b *bbolt.Bucket) {
		if v := b.Get([]byte(key)); v != nil {
			out = append([]byte{}, v...)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read %s from the state database: %w", key, err)
	}
	return out, nil
}

// Put writes a record; it is on the disk when Put returns. If it cannot be, it is
// in memory for as long as the program runs, and Put says why.
func (d *DB) Put(key string, value []byte) error {
	if err := d.write(map[record][]byte{{Records, key}: append([]byte{}, value...)}); err != nil {
		return fmt.Errorf("write %s to the state database: %w", key, err)
	}
	return nil
}

// Delete removes a record as Put writes one; one that is not there is no error.
func (d *DB) Delete(key string) error {
	if err := d.write(map[record][]byte{{Records, key}: nil}); err != nil {
		return fmt.Errorf("remove %s from the state database: %w", key, err)
	}
	return nil
}

// read looks into a bucket of the file, if it is there. Called with the lock.
func (d *DB) read(bucket string, look func(*bbolt.Bucket)) error {
	if d.bolt == nil {
		return nil
	}
	return d.bolt.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket([]byte(bucket)); b != nil {
			look(b)
		}
		return nil
	})
}

// write writes records, with those that could not be written before.
func (d *DB) write(changes map[record][]byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.Copy(d.memory, changes)
	if d.bolt == nil || d.bolt.IsReadOnly() {
		return d.failure
	}
	err := d.bolt.Update(func(tx *bbolt.Tx) error {
		for r, v := range d.memory {
			b := tx.Bucket([]byte(r.bucket))
			var err error
			if v == nil {
				err = b.Delete([]byte(r.key))
			} else {
				err = b.Put([]byte(r.key), v)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.fail(fmt.Errorf("write state database %s: %w", d.path, err))
		return err
	}
	clear(d.memory)
	if d.failure != nil {
		d.log.Info("state is on the disk again", "database", d.path)
		d.failure = nil
	}
	return nil
}
