package enrolclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// LookEvery is how often a machine looks whether it is to renew its certificate,
// and whether it is a member still.
const LookEvery = 5 * time.Minute

// Keeper renews a machine's certificate while it serves, and hears of its
// revocation. Who has loaded the identity shows the new certificate by itself.
type Keeper struct {
	Log     *slog.Logger
	Machine *Machine
	Every   time.Duration // LookEvery
	Now     func() time.Time

	mu      sync.Mutex
	failure error
}

// Failure is what an operator should know; nil: all is well.
func (k *Keeper) Failure() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failure
}

// Run looks after the certificate until the context ends.
func (k *Keeper) Run(ctx context.Context) {
	for {
		err := k.look(ctx)
		if ctx.Err() != nil {
			return
		}
		k.note(err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(k.Every):
		}
	}
}

func (k *Keeper) note(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil && (k.failure == nil || k.failure.Error() != err.Error()) {
		k.Log.Warn("this machine's certificate", "error", err)
	}
	k.failure = err
}

func (k *Keeper) look(ctx context.Context) error {
	member, err := k.Machine.Member()
	if err != nil {
		return k.again(ctx, err) // it ran out: the key proves who we are
	}
	c := member.Me.Certificate()
	due, err := RenewAt(c.Raw)
	if err != nil {
		return err
	}
	if k.Now().Before(due) {
		switch _, err := member.Configuration(ctx); status.Code(err) {
		case codes.OK:
			return nil
		case codes.PermissionDenied:
			return k.again(ctx, err)
		}
		return k.Failure() // a service that is away costs nothing until then
	}
	key, err := Key(k.Machine.Dir)
	if err != nil {
		return err
	}
	e, err := member.Renew(ctx, key)
	switch {
	case status.Code(err) == codes.PermissionDenied:
		return k.again(ctx, err)
	case err != nil:
		return fmt.Errorf("it is valid until %s and is not renewed: %s; look at provisiond on %s", c.NotAfter.UTC().Format(time.DateTime),
			status.Convert(err).Message(), k.Machine.Address)
	}
	if err := Save(k.Machine.Dir, key, e); err != nil {
		return err
	}
	k.Log.Info("this machine's certificate is renewed")
	return nil
}

// again asks with the key alone, as the certificate is refused.
func (k *Keeper) again(ctx context.Context, why error) error {
	err := k.Machine.AskAgain(ctx)
	switch {
	case errors.Is(err, ErrRevoked):
		return fmt.Errorf("%w: it cannot join again, and gets no new certificate", err)
	case errors.Is(err, ErrForgotten):
		return fmt.Errorf("%w: approve it with weirctl machine approve", err)
	case err != nil:
		return errors.Join(why, err)
	}
	return nil
}
