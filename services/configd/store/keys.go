package store

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"weir/services/config"
)

// Phase is how far a rotation of the control keys is.
type Phase string

// Phases. Machines in neighbouring phases understand each other.
const (
	Steady  Phase = "steady"  // one key
	Added   Phase = "added"   // the new one, second, is accepted
	Sealing Phase = "sealing" // the new one, first, seals
)

// Keys is the key set of a cluster, and with it the name of the store: it is
// made once, at the first start.
type Keys struct {
	Store string
	Phase Phase
	config.KeySet
}

// keysJSON is how keys are stored: config.Key itself refuses to be encoded.
type keysJSON struct {
	Store   string           `json:"store"`
	Phase   Phase            `json:"phase"`
	Base    []byte           `json:"base"`
	Control []controlKeyJSON `json:"control"`
}

type controlKeyJSON struct {
	ID  uint32 `json:"id"`
	Key []byte `json:"key"`
}

func (k *Keys) encode() (string, error) {
	out := keysJSON{Store: k.Store, Phase: k.Phase, Base: k.Base[:]}
	for i := range k.Control {
		out.Control = append(out.Control, controlKeyJSON{k.Control[i].ID, k.Control[i].Key[:]})
	}
	b, err := json.Marshal(out)
	return string(b), err
}

// errKeys never quotes what it is about.
var errKeys = errors.New("this is not a key set")

func (k *Keys) decode(b []byte) error {
	var in keysJSON
	if json.Unmarshal(b, &in) != nil || len(in.Base) != len(k.Base) || len(in.Control) == 0 || in.Store == "" ||
		!slices.Contains([]Phase{Steady, Added, Sealing}, in.Phase) || (in.Phase == Steady) != (len(in.Control) == 1) {
		return errKeys
	}
	out := Keys{Store: in.Store, Phase: in.Phase}
	copy(out.Base[:], in.Base)
	for _, c := range in.Control {
		key := config.ControlKey{ID: c.ID}
		if copy(key.Key[:], c.Key) != len(key.Key) {
			return errKeys
		}
		out.Control = append(out.Control, key)
	}
	*k = out
	return nil
}

// EnsureKeys makes the key set of a new cluster. Several front-ends may do so at once.
func (s *Store) EnsureKeys(ctx context.Context) (created bool, err error) {
	k := Keys{Store: fmt.Sprintf("%016x", random64()), Phase: Steady}
	k.Base = randomKey()
	k.Control = []config.ControlKey{newControlKey(nil)}
	switch _, err := s.PutKeys(ctx, &k, 0); {
	case errors.Is(err, ErrConflict):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, nil
}

// PutKeys replaces the key set if its revision is still the expected one.
func (s *Store) PutKeys(ctx context.Context, k *Keys, expected int64) (int64, error) {
	value, err := k.encode()
	if err != nil {
		return 0, fmt.Errorf("encode the keys: %w", err)
	}
	return s.put(ctx, s.keysKey(), value, expected)
}

// Next is the key set of the next phase of a rotation.
func (k *Keys) Next() *Keys {
	n := &Keys{Store: k.Store}
	n.Base = k.Base
	switch k.Phase {
	case Steady:
		n.Phase, n.Control = Added, append(slices.Clone(k.Control), newControlKey(k.Control))
	case Added:
		n.Phase, n.Control = Sealing, []config.ControlKey{k.Control[1], k.Control[0]}
	default:
		n.Phase, n.Control = Steady, k.Control[:1]
	}
	return n
}

// newControlKey has a random id: one that rises would be given twice by a store
// that was restored from a backup.
func newControlKey(others []config.ControlKey) config.ControlKey {
	for {
		id := uint32(random64())
		if id != 0 && !slices.ContainsFunc(others, func(k config.ControlKey) bool { return k.ID == id }) {
			return config.ControlKey{ID: id, Key: randomKey()}
		}
	}
}

func randomKey() (k config.Key) {
	_, _ = rand.Read(k[:]) // never fails
	return k
}

func random64() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return binary.NativeEndian.Uint64(b[:])
}
