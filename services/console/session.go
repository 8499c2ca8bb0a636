package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"weir/services/console/check"
	"weir/services/console/facts"
	"weir/services/console/terminal"
)

// session is the use of one terminal, from its opening to its end.
type session struct {
	*terminal.Terminal
	asker   *facts.Asker
	login   login
	keys    *keyboard
	line    *lineReader
	network check.Network // what checks try

	refresh time.Duration // of the status page
	idle    time.Duration // without a key after which nobody is there any more
	facts   *facts.Facts  // the last that were gathered
}

const (
	refreshEvery = 2 * time.Second
	idleLimit    = 10 * time.Minute
)

func newSession(t *terminal.Terminal, a *facts.Asker) *session {
	s := &session{Terminal: t, asker: a, refresh: refreshEvery, idle: idleLimit, network: check.System{}}
	s.login.now = time.Now
	return s
}

// run is the session: on a terminal the status page and the prompt in turn; on a
// pipe one command after the other. The end of the line ends it without an error.
func (s *session) run(ctx context.Context) error {
	s.keys = newKeyboard(ctx, s)
	err := s.turns(ctx)
	if errors.Is(err, io.EOF) || ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *session) turns(ctx context.Context) error {
	for {
		if s.Interactive() {
			if err := s.watch(ctx); err != nil {
				return err
			}
		}
		if err := s.prompt(ctx); err != nil {
			return err
		}
	}
}

// prompt reads commands until the status page is wanted (nil), or forever.
func (s *session) prompt(ctx context.Context) error {
	s.line = newLineReader(s)
	for {
		text, err := s.line.read(s.promptText())
		if err == nil {
			err = s.execute(ctx, text)
		} else if !errors.Is(err, errIdle) {
			return err
		}
		switch {
		case errors.Is(err, errIdle):
			s.login.out()
			fmt.Fprintf(s, "\nnobody has typed for %v\n", s.idle)
			return nil
		case errors.Is(err, errWatch):
			return nil
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return err
		case err != nil:
			if err := s.page([]string{err.Error()}); err != nil {
				return err
			}
		}
	}
}

// promptText names the node, and shows who may change it: # as for root.
func (s *session) promptText() string {
	if !s.Interactive() {
		return ""
	}
	name := "weir"
	switch f := s.facts; {
	case f == nil:
	case f.Node != nil:
		name = f.Node.Id
	case f.File != nil:
		name = f.File.Node
	}
	if s.login.in() {
		return name + "# "
	}
	return name + "> "
}

// gather asks everybody, now.
func (s *session) gather(ctx context.Context) *facts.Facts {
	s.facts = s.asker.Gather(ctx)
	return s.facts
}
