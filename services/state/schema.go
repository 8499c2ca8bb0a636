package state

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

// Buckets. Records has a program's small records by name, the others are lists.
const (
	Records = "records"
	Boots   = "boots"
	Crashes = "crashes"
)

var (
	metaBucket = []byte("meta")
	schemaKey  = []byte("schema")
)

// migrations lead from one schema version to the next: the first makes version
// 1 of an empty database. They are only ever added to.
var migrations = []func(*bbolt.Tx) error{
	func(tx *bbolt.Tx) error { return makeBuckets(tx, Records) },
	func(tx *bbolt.Tx) error { return makeBuckets(tx, Boots, Crashes) },
}

func makeBuckets(tx *bbolt.Tx, names ...string) error {
	for _, name := range names {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return fmt.Errorf("make bucket %s: %w", name, err)
		}
	}
	return nil
}

// schema is a database's version; 0: it has none yet.
func schema(b *bbolt.DB) (version uint64, err error) {
	err = b.View(func(tx *bbolt.Tx) error { version = schemaOf(tx); return nil })
	return version, err
}

func schemaOf(tx *bbolt.Tx) uint64 {
	if meta := tx.Bucket(metaBucket); meta != nil {
		if v := meta.Get(schemaKey); len(v) == 8 {
			return binary.BigEndian.Uint64(v)
		}
	}
	return 0
}

// migrate brings an older schema to the newest, in one transaction. A database
// that has it is not written: its disk may be full.
func migrate(b *bbolt.DB) error {
	newest := uint64(len(migrations))
	switch version, err := schema(b); {
	case err != nil:
		return fmt.Errorf("read the schema: %w", err)
	case version > newest:
		return fmt.Errorf("%w (schema %d, known %d)", ErrNewer, version, newest)
	case version == newest:
		return nil
	}
	return b.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return fmt.Errorf("make bucket: %w", err)
		}
		for version := schemaOf(tx); version < newest; version++ {
			if err := migrations[version](tx); err != nil {
				return fmt.Errorf("migrate to schema %d: %w", version+1, err)
			}
		}
		return meta.Put(schemaKey, binary.BigEndian.AppendUint64(nil, newest))
	})
}
