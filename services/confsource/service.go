package confsource

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/config"
	"weir/services/identity"
)

const (
	lastGoodAfter = time.Second      // without an answer at the start
	reportEvery   = 30 * time.Second // also when nothing changes, so that the service knows who is there
	reportTimeout = 3 * time.Second
	retryShortest = 100 * time.Millisecond
	retryLongest  = 3 * time.Second
)

// service is the way to the configuration service.
type service struct {
	*Source
	options Options
	conn    *grpc.ClientConn
	client  api.ConfigClient
	boot    uint64
	kick    chan struct{} // something new is to be reported
	told    bool          // the service has told the current configuration; belongs to watch

	mu       sync.Mutex
	away     error
	removed  bool    // from the cluster file, since we had a configuration
	reported *Config // in force, as its user says; nil: none yet
	keeping  lastGood
}

// openService calls the service and waits for a configuration.
func (s *Source) openService(ctx, background context.Context, o Options) error {
	me, err := identity.Load(identity.Files{CA: o.Service.CA, Cert: o.Service.Cert, Key: o.Service.Key})
	if err != nil {
		return err
	}
	if me.Name.Role != o.Role || me.Name.ID != o.ID {
		return fmt.Errorf("%s is the certificate of %s, and this is %s %s", o.Service.Cert, me.Name, o.Role, o.ID)
	}
	v := &service{Source: s, options: o, kick: make(chan struct{}, 1), boot: randomBoot(), away: errors.New("no answer yet"), keeping: lastGood{o.State, o.StateDir}}
	last := v.keeping.load(s.log, v)
	if last != nil {
		s.current = last // what comes is compared with it
	}
	if v.conn, err = dial(me, o.Service.Addresses); err != nil {
		return err
	}
	v.client = api.NewConfigClient(v.conn)
	s.service = v
	s.work.Go(func() { v.watch(background) })
	s.work.Go(func() { v.report(background) })
	return v.first(ctx, last)
}

func (v *service) close() { v.conn.Close() }

func randomBoot() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint64(b[:])
}

// first waits for the first configuration. If there is a last good one, not for long.
func (v *service) first(ctx context.Context, last *Config) error {
	timer := time.NewTimer(lastGoodAfter)
	defer timer.Stop()
	for {
		select {
		case c := <-v.changes:
			v.log.Info("the configuration is from the service", "revision", c.Revision)
			return nil
		case <-timer.C:
			why := errors.Join(v.awayError(), v.Failure())
			if last != nil && !v.isRemoved() {
				v.log.Warn("the configuration is the last good one, not from the service", "revision", last.Revision, "reason", why)
				return nil
			}
			v.log.Warn("waiting for the configuration service: there is no last good configuration", "reason", why)
			if v.options.Waiting != nil {
				v.options.Waiting(why)
			}
			timer.Reset(10 * time.Second)
		case <-ctx.Done():
			return fmt.Errorf("wait for the configuration service: %w", errors.Join(v.awayError(), ctx.Err()))
		}
	}
}

// watch follows the service until the context ends.
func (v *service) watch(ctx context.Context) {
	pause := retryShortest
	for ctx.Err() == nil {
		stream, err := v.client.Watch(ctx, &api.WatchRequest{}, grpc.MaxCallRecvMsgSize(api.MaxSnapshot))
		for err == nil {
			var snapshot *api.Snapshot
			if snapshot, err = stream.Recv(); err == nil {
				pause = retryShortest
				v.handle(snapshot)
			}
		}
		if ctx.Err() != nil {
			return
		}
		v.setAway(fmt.Errorf("the configuration service does not answer: %s", status.Convert(err).Message()))
		// All machines lose the service at the same moment; they come back one after the other.
		wait := pause/2 + mathrand.N(pause)
		pause = min(2*pause, retryLongest)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// handle judges what the service tells.
func (v *service) handle(snapshot *api.Snapshot) {
	if snapshot.Pending {
		v.pending(snapshot)
		v.setAway(fmt.Errorf("%s %s is not in the cluster file of the configuration service; weirctl apply approves it", v.options.Role, v.options.ID))
		return
	}
	v.setAway(nil)
	if now := v.Current(); v.told && snapshot.Store == now.store && snapshot.Revision == now.Revision {
		v.pass() // told again after a lost connection, or what was refused meanwhile is undone
		return
	}
	c, err := v.parse(snapshot)
	if err == nil {
		err = v.judge(c)
	}
	if err != nil {
		v.fail(fmt.Errorf("revision %d: %w", snapshot.Revision, err))
		v.report1()
		return
	}
	v.told = true
	v.mu.Lock()
	v.removed = false
	v.mu.Unlock()
	v.take(c)
}

func (v *service) isRemoved() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.removed
}

// pending hears that we are not approved. Somebody who was, and was taken out of
// the cluster file, may not come back with the last good configuration: he would
// be a cluster of his own. A store that lost its data knows nobody, and takes
// nobody out.
func (v *service) pending(snapshot *api.Snapshot) {
	now := v.Current()
	if now == nil || snapshot.Store != now.store || snapshot.Revision <= now.Revision {
		return
	}
	v.mu.Lock()
	v.removed = true
	v.mu.Unlock()
	if err := v.keeping.forget(); err != nil {
		v.log.Error("forget the last good configuration", "error", err)
	}
}

// judge refuses what a store that lost its data would tell.
func (v *service) judge(c *Config) error {
	now := v.Current()
	if now == nil {
		return nil
	}
	if c.Keys.Base != now.Keys.Base {
		return fmt.Errorf("its keys are of another cluster, and would move every connection; restore the store of the configuration service, or remove %s to begin anew", v.options.StateDir)
	}
	if c.store == now.store && c.Revision >= now.Revision {
		return nil
	}
	v.log.Warn("the configuration service went back in time; it is read anew", "from", now.Revision, "to", c.Revision)
	if err := config.Removal(now.Cluster, c.Cluster); err != nil && !c.allowed {
		return fmt.Errorf("the configuration service went back in time, and %w; if this is meant, apply it with --allow-removal", err)
	}
	return nil
}

func (v *service) setAway(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case err == nil && v.away != nil:
		v.log.Info("the configuration service answers")
	case err != nil && (v.away == nil || v.away.Error() != err.Error()):
		v.log.Warn("configuration service", "error", err)
	}
	v.away = err
}

func (v *service) awayError() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.away
}

// inForce remembers what is in force, on disk first, and has it reported: once
// the service knows of it, a rotation may go on that a restart with an older
// configuration would not understand.
func (v *service) inForce(c *Config, err error) {
	v.mu.Lock()
	known := v.reported
	v.mu.Unlock()
	if err == nil {
		if known == c {
			return
		}
		if err := v.keeping.save(c); err != nil {
			v.log.Error("keep the last good configuration", "error", err)
		}
		v.mu.Lock()
		v.reported = c
		v.mu.Unlock()
	}
	v.report1()
}

// report1 has a report sent soon.
func (v *service) report1() {
	select {
	case v.kick <- struct{}{}:
	default: // one is due already
	}
}

// report tells the service who we are and what is in force.
func (v *service) report(ctx context.Context) {
	for ctx.Err() == nil {
		next := reportEvery
		if err := v.reportOnce(ctx); err != nil {
			next = retryLongest
		}
		select {
		case <-v.kick:
		case <-time.After(next/2 + mathrand.N(next)):
		case <-ctx.Done():
		}
	}
}

func (v *service) reportOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	r := &api.Registration{Version: v.options.Version, Boot: v.boot}
	if err := v.Failure(); err != nil {
		r.Error = err.Error()
	}
	v.mu.Lock()
	if v.reported != nil {
		r.Store, r.Revision = v.reported.store, v.reported.Revision
	}
	v.mu.Unlock()
	_, err := v.client.Report(ctx, r, grpc.WaitForReady(true))
	return err
}
