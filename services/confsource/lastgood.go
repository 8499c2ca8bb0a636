package confsource

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"weir/services/api"
	"weir/services/config"
	"weir/services/identity"
	"weir/services/state"
	"weir/services/wholefile"
)

// lastGoodKey and lastGoodFile hold the same snapshot: the file is for when the
// database was lost (S-102).
const (
	lastGoodKey  = "last-good-configuration"
	lastGoodFile = "last-good-configuration"
)

// parse reads a snapshot.
func (v *service) parse(snapshot *api.Snapshot) (*Config, error) {
	c, err := config.ParseCluster("cluster", []byte(snapshot.Cluster))
	if err != nil {
		return nil, err
	}
	if c.Keys, err = snapshot.Keys.KeySet(); err != nil {
		return nil, err
	}
	id := v.options.ID
	if v.options.Role == identity.Node && c.Member(id) == nil || v.options.Role == identity.Server && c.Server(id) == nil {
		return nil, fmt.Errorf("%s %q is not in cluster %s", v.options.Role, id, c.Identity.Name)
	}
	saved, err := proto.Marshal(snapshot)
	if err != nil {
		return nil, fmt.Errorf("encode the configuration: %w", err)
	}
	return &Config{Cluster: c, Revision: snapshot.Revision, store: snapshot.Store, allowed: snapshot.RemovalAllowed, saved: saved}, nil
}

// lastGood is where the last good configuration is kept. It holds secrets: both
// places are for root only.
type lastGood struct {
	db  *state.DB
	dir string
}

// save replaces it.
func (l lastGood) save(c *Config) error {
	return errors.Join(l.db.Put(lastGoodKey, c.saved), wholefile.Replace(filepath.Join(l.dir, lastGoodFile), c.saved))
}

// forget removes it.
func (l lastGood) forget() error {
	err := os.Remove(filepath.Join(l.dir, lastGoodFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(l.db.Delete(lastGoodKey), err)
}

// load is the last good configuration, nil if there is none.
func (l lastGood) load(log *slog.Logger, v *service) *Config {
	read := func(b []byte) (*Config, error) {
		snapshot := &api.Snapshot{}
		if err := proto.Unmarshal(b, snapshot); err != nil {
			return nil, errors.New("it is damaged") // the error could quote secrets
		}
		return v.parse(snapshot)
	}
	b, err := l.db.Get(lastGoodKey)
	if err == nil && b != nil {
		var c *Config
		if c, err = read(b); err == nil {
			return c
		}
	}
	if err != nil {
		log.Error("read the last good configuration from the state database", "error", err)
	}
	path := filepath.Join(l.dir, lastGoodFile)
	b, err = os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var c *Config
	if err == nil {
		c, err = read(b)
	}
	if err != nil {
		log.Error("read the last good configuration", "file", path, "error", err)
		return nil
	}
	return c
}
