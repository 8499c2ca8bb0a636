package api

import (
	"errors"

	"weir/services/config"
)

// NewClusterKeys is a key set as the configuration service sends it.
func NewClusterKeys(s *config.KeySet) *ClusterKeys {
	out := &ClusterKeys{Base: s.Base[:]}
	for _, k := range s.Control {
		out.Control = append(out.Control, &ClusterKey{Id: k.ID, Key: k.Key[:]})
	}
	return out
}

// KeySet is the key set that was sent.
func (k *ClusterKeys) KeySet() (config.KeySet, error) {
	var s config.KeySet
	if copy(s.Base[:], k.GetBase()) != len(s.Base) || s.Base == (config.Key{}) || len(k.Control) == 0 {
		return s, errors.New("the key set is not complete")
	}
	for _, c := range k.Control {
		var key config.ControlKey
		key.ID = c.Id
		if copy(key.Key[:], c.Key) != len(key.Key) || key.Key == (config.Key{}) {
			return s, errors.New("the key set holds something that is not a key")
		}
		s.Control = append(s.Control, key)
	}
	return s, nil
}
