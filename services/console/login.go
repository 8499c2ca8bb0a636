package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir/services/config"
)

// login is who may change the node: whoever knew its password, until nobody has
// typed for a while.
type login struct {
	now    func() time.Time
	ok     bool
	last   time.Time // key
	wrong  int       // attempts in a row
	locked time.Time // no attempt before
}

func (l *login) in() bool { return l.ok }
func (l *login) out()     { l.ok = false }

// touch notes a key; one after idle comes from somebody else.
func (l *login) touch(idle time.Duration) {
	now := l.now()
	if now.Sub(l.last) > idle {
		l.ok = false
	}
	l.last = now
}

const (
	freeAttempts = 3
	firstLock    = 2 * time.Second
	longestLock  = time.Minute
)

// wait is how long no attempt is taken.
func (l *login) wait() time.Duration { return max(0, l.locked.Sub(l.now())) }

// attempt compares a password. After three wrong ones each next attempt waits
// twice as long as the one before.
func (l *login) attempt(hash config.PasswordHash, password string) bool {
	if hash.Matches(password) {
		l.ok, l.wrong, l.last = true, 0, l.now()
		return true
	}
	l.wrong++
	if over := l.wrong - freeAttempts; over >= 0 {
		l.locked = l.now().Add(min(longestLock, firstLock<<min(over, 10)))
	}
	return false
}

var errNoPassword = errors.New("refused: this node has no console password, so its console only shows; " +
	"set machine.password in node.yaml to what weirctl password prints")

// authorize lets pass whoever is logged in, and asks for the password otherwise.
func (s *session) authorize(ctx context.Context) error {
	if s.login.in() {
		return nil
	}
	file, err := config.LoadNode(s.asker.ConfigFile())
	if err != nil {
		return fmt.Errorf("refused: the console's password is in the configuration, and none is in force; see: config errors")
	}
	if file.Machine == nil || file.Machine.Password.Secret == "" {
		return errNoPassword
	}
	if w := s.login.wait(); w > 0 {
		return fmt.Errorf("too many wrong passwords; try again in %.0f s", w.Seconds()+0.5)
	}
	password, err := s.line.password("Password: ")
	if err != nil {
		return err
	}
	if !s.login.attempt(file.Machine.Password, password) {
		return errors.New("wrong password")
	}
	return nil
}
