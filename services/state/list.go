package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/bbolt"
)

// Entry is one of a list. Numbers rise.
type Entry struct {
	Number uint64
	Value  []byte
}

func entryKey(list string, number uint64) record {
	return record{list, string(binary.BigEndian.AppendUint64(nil, number))}
}

// List is a whole list, oldest first.
func (d *DB) List(list string) ([]Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[uint64][]byte{}
	err := d.read(list, func(b *bbolt.Bucket) {
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if len(k) == 8 {
				all[binary.BigEndian.Uint64(k)] = bytes.Clone(v)
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read the list %s from the state database: %w", list, err)
	}
	for r, v := range d.memory {
		if r.bucket != list {
			continue
		}
		if number := binary.BigEndian.Uint64([]byte(r.key)); v == nil {
			delete(all, number)
		} else {
			all[number] = v
		}
	}
	var out []Entry
	for _, number := range slices.Sorted(maps.Keys(all)) {
		out = append(out, Entry{number, all[number]})
	}
	return out, nil
}

// Append adds to a list as Put writes a record, and gives the new entry's
// number. Of the list, the newest keep entries stay.
func (d *DB) Append(list string, value []byte, keep int) (number uint64, err error) {
	all, err := d.List(list)
	if err != nil {
		return 0, err
	}
	number = 1
	if len(all) > 0 {
		number = all[len(all)-1].Number + 1
	}
	changes := map[record][]byte{entryKey(list, number): append([]byte{}, value...)}
	for _, old := range all[:max(0, len(all)+1-keep)] {
		changes[entryKey(list, old.Number)] = nil
	}
	if err := d.write(changes); err != nil {
		return number, fmt.Errorf("add to the list %s of the state database: %w", list, err)
	}
	return number, nil
}

// Replace changes an entry of a list as Put writes a record.
func (d *DB) Replace(list string, number uint64, value []byte) error {
	if err := d.write(map[record][]byte{entryKey(list, number): append([]byte{}, value...)}); err != nil {
		return fmt.Errorf("change the list %s of the state database: %w", list, err)
	}
	return nil
}
