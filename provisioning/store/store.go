// Package store keeps what provisiond must not forget, in bbolt: which machines
// are approved and revoked, what they boot, and who has which address.
package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"weir/provisioning/machines"
	"weir/provisioning/netboot"
	"weir/provisioning/trial"
)

// FileName is the database's name in the state directory.
const FileName = "provisiond.db"

// lockTimeout bounds the wait for another process that has the database.
const lockTimeout = time.Second

var (
	bucketRecords = []byte("machines") // fingerprint → machines.Record
	bucketBoots   = []byte("boots")    // name of the entry → trial.State
	bucketRevoked = []byte("revoked")  // one key → []machines.Issued
	bucketLeases  = []byte("leases")   // MAC, 6 bytes → lease
	revokedKey    = []byte("list")
)

// Store is an open database.
type Store struct{ db *bbolt.DB }

// Open opens the database in a directory, or begins one. One that is damaged is
// an error: approvals and revocations are not to be forgotten silently.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	path := filepath.Join(dir, FileName)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%s is in use by another provisiond; stop it first", path)
	case err != nil:
		return nil, fmt.Errorf("open %s: %w; restore a backup, or remove it and approve every machine again", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, b := range [][]byte{bucketRecords, bucketBoots, bucketRevoked, bucketLeases} {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare %s: %w", path, err), db.Close())
	}
	return &Store{db}, nil
}

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// Kept is all that is known of machines.
func (s *Store) Kept() (machines.Kept, error) {
	k := machines.Kept{Boots: map[string]trial.State{}}
	err := s.db.View(func(tx *bbolt.Tx) error {
		err := tx.Bucket(bucketRecords).ForEach(func(_, v []byte) error {
			r := &machines.Record{}
			k.Records = append(k.Records, r)
			return json.Unmarshal(v, r)
		})
		if err != nil {
			return err
		}
		err = tx.Bucket(bucketBoots).ForEach(func(name, v []byte) error {
			var b trial.State
			err := json.Unmarshal(v, &b)
			k.Boots[string(name)] = b
			return err
		})
		if v := tx.Bucket(bucketRevoked).Get(revokedKey); v != nil && err == nil {
			err = json.Unmarshal(v, &k.Revoked)
		}
		return err
	})
	if err != nil {
		return k, fmt.Errorf("read %s: %w", s.db.Path(), err)
	}
	return k, nil
}

// PutRecord keeps a machine.
func (s *Store) PutRecord(r *machines.Record) error {
	return s.update(func(tx *bbolt.Tx) error { return put(tx, bucketRecords, []byte(r.Fingerprint), r) })
}

// PutBoot keeps what a machine boots.
func (s *Store) PutBoot(name string, b trial.State) error {
	return s.update(func(tx *bbolt.Tx) error { return put(tx, bucketBoots, []byte(name), b) })
}

// Revoke keeps a machine and all revoked certificates in one step.
func (s *Store) Revoke(r *machines.Record, all []machines.Issued) error {
	return s.update(func(tx *bbolt.Tx) error {
		return errors.Join(put(tx, bucketRecords, []byte(r.Fingerprint), r), put(tx, bucketRevoked, revokedKey, all))
	})
}

// lease is how a lease is kept.
type lease struct {
	Address netip.Addr `json:"address"`
	Ends    time.Time  `json:"ends"`
}

// PutLeases keeps leases; those that end nowhere are forgotten.
func (s *Store) PutLeases(list []netboot.Lease) error {
	return s.update(func(tx *bbolt.Tx) error {
		for _, l := range list {
			err := tx.Bucket(bucketLeases).Delete(l.MAC[:])
			if !l.Ends.IsZero() {
				err = errors.Join(err, put(tx, bucketLeases, l.MAC[:], lease{l.Address, l.Ends}))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Leases are all that have not ended. The others are removed: there are never
// more than the pool has addresses.
func (s *Store) Leases(now time.Time) ([]netboot.Lease, error) {
	var out []netboot.Lease
	err := s.update(func(tx *bbolt.Tx) error {
		var ended [][]byte
		err := tx.Bucket(bucketLeases).ForEach(func(k, v []byte) error {
			var l lease
			if err := json.Unmarshal(v, &l); err != nil || len(k) != 6 || !now.Before(l.Ends) {
				ended = append(ended, bytes.Clone(k))
				return nil
			}
			out = append(out, netboot.Lease{MAC: [6]byte(k), Address: l.Address, Ends: l.Ends})
			return nil
		})
		for _, k := range ended {
			err = errors.Join(err, tx.Bucket(bucketLeases).Delete(k))
		}
		return err
	})
	return out, err
}

func (s *Store) update(change func(*bbolt.Tx) error) error {
	if err := s.db.Update(change); err != nil {
		return fmt.Errorf("write %s: %w", s.db.Path(), err)
	}
	return nil
}

func put(tx *bbolt.Tx, bucket, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put(key, b)
}
