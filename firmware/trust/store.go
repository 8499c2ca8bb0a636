package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"weir/firmware/release"
	"weir/services/wholefile"
)

// maxStore bounds the file of a store, in bytes. All that it holds is bounded;
// the rest is for base64.
const maxStore = 2 * (MaxRotations*MaxRoot + MaxTimestamp + MaxSnapshot + MaxTargets)

// Store is the file in which a node remembers the metadata that it has accepted,
// so that nobody can offer it older metadata. Signatures are checked anew whenever
// it is read: who can write the state partition can make a node forget, no more.
type Store struct {
	Path string
}

// memory is what the file holds. Each part is as it was signed, to the byte.
type memory struct {
	Roots     [][]byte `json:"roots,omitempty"` // without gaps, oldest first
	Timestamp []byte   `json:"timestamp,omitempty"`
	Snapshot  []byte   `json:"snapshot,omitempty"`
	Targets   []byte   `json:"targets,omitempty"`
	Floor     string   `json:"floor,omitempty"` // highest ever seen
}

// load reads what is remembered. A store that is not there is empty; one that
// cannot be read is set aside, since a node that can never be updated again would
// be worse than one that has forgotten.
func (s *Store) load() (m memory, err error) {
	if s == nil {
		return m, nil
	}
	info, err := os.Stat(s.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, nil
	case err != nil:
		return m, fmt.Errorf("read accepted metadata: %w", err)
	}
	var text []byte
	if info.Size() <= maxStore {
		if text, err = os.ReadFile(s.Path); err != nil {
			return m, fmt.Errorf("read accepted metadata: %w", err)
		}
	}
	if json.Unmarshal(text, &m) == nil && (m.Floor == "" || release.CheckVersion(m.Floor) == nil) {
		return m, nil
	}
	if err := os.Rename(s.Path, s.Path+".unreadable"); err != nil {
		return m, fmt.Errorf("set unreadable metadata aside: %w", err)
	}
	return memory{}, nil
}

// save replaces the file: after a power cut it is the old or the new one.
func (s *Store) save(m memory) error {
	if s == nil {
		return nil
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := wholefile.Replace(s.Path, text); err != nil {
		return fmt.Errorf("remember accepted metadata: %w", err)
	}
	return nil
}
