// Package confsource is where nodes and modules get the cluster's configuration
// from: a cluster file on their disk, or the configuration service (S-112). With
// the service they remember the last good one, and go on with it for as long as
// the service is away, also across a restart (S-102).
package confsource

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"weir/services/config"
	"weir/services/identity"
	"weir/services/state"
)

// Config is a configuration that can be put in force. It is never changed.
type Config struct {
	*config.Cluster       // with its keys
	Revision        int64 // of the service; 0: from a file
	store           string
	allowed         bool   // to remove a third of the nodes or servers
	saved           []byte // what is kept of it
}

// Options say where the configuration comes from, and who asks.
type Options struct {
	ClusterFile string // empty: the service
	Service     config.ConfigService
	Role        identity.Role // identity.Node or identity.Server
	ID          string
	Version     string
	// Of the last good configuration; needed with the service.
	State    *state.DB
	StateDir string
	// Waiting, if there is one, is called when Open has waited for a while, with
	// the reason.
	Waiting func(error)
}

// Source is a source of configurations.
type Source struct {
	log     *slog.Logger
	changes chan *Config
	cancel  context.CancelFunc
	work    sync.WaitGroup
	service *service // nil: a file

	mu      sync.Mutex
	current *Config // the newest that is good
	failure error   // why a newer one is not taken
	refused error   // why current is not in force, as its user says
}

// Open returns when there is a configuration. A file must be good. The service
// may be away if there is a last good one; otherwise Open waits until it
// answers and knows us, or the context ends.
func Open(ctx context.Context, log *slog.Logger, o Options) (*Source, error) {
	s := &Source{log: log, changes: make(chan *Config, 1)}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	var err error
	if o.ClusterFile != "" {
		err = s.openFile(background, o)
	} else {
		err = s.openService(ctx, background, o)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends the source; the configuration in force stays.
func (s *Source) Close() {
	s.cancel()
	s.work.Wait()
	if s.service != nil {
		s.service.close()
	}
}

// Current is the newest good configuration.
func (s *Source) Current() *Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// Changes gives every configuration that is to be put in force after the one
// that Current gave first; who is slow gets the newest only.
func (s *Source) Changes() <-chan *Config { return s.changes }

// InForce tells what became of a configuration: it is in force (nil), or it
// cannot be, and the former one stays. The service hears of it, and what is in
// force is the last good one from then on.
func (s *Source) InForce(c *Config, err error) {
	s.mu.Lock()
	if err != nil || c == s.current {
		s.refused = err
	}
	s.mu.Unlock()
	if s.service != nil {
		s.service.inForce(c, err)
	}
}

// Failure is why the newest configuration is not in force; nil: it is.
func (s *Source) Failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.failure, s.refused)
}

// Away is why the service does not tell us about changes; nil: it does.
func (s *Source) Away() error {
	if s.service == nil {
		return nil
	}
	return s.service.awayError()
}

// take makes a configuration the newest.
func (s *Source) take(c *Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.failure = c, nil
	select {
	case <-s.changes: // nobody has taken it
	default:
	}
	s.changes <- c
}

// fail notes why a new configuration is not taken.
func (s *Source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil || s.failure.Error() != err.Error() {
		s.log.Error("a changed configuration is not taken; the former one stays", "error", err)
	}
	s.failure = err
}

// pass notes that the current configuration is the newest again.
func (s *Source) pass() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = nil
}
