package main

import (
	"context"
	"errors"
	"time"

	"weir/services/console/facts"
	"weir/services/console/report"
	"weir/services/console/terminal"
)

// errWatch ends the prompt: the status page is wanted.
var errWatch = errors.New("status page")

// repaintAfter is how many refreshes a page is taken to be on the terminal:
// kernel messages come in between.
const repaintAfter = 15

// watch shows the status page until somebody types. What is typed begins a
// command; Enter only asks for the prompt.
func (s *session) watch(ctx context.Context) error {
	p := terminal.NewPainter(s)
	ctx, cancel := context.WithCancel(ctx)
	pages := s.pages(ctx)
	defer func() {
		cancel()
		for range pages { // the asker is free again when they end
		}
	}()
	var last []terminal.Line
	for n := 0; ; n++ {
		key, err := s.nextOrPage(pages, &last, p, n)
		switch {
		case errors.Is(err, errIdle): // a page was painted
		case err != nil:
			return err
		case key == keyCtrlL:
			p.Forget()
			if err := p.Paint(last); err != nil {
				return err
			}
		case key == '\r', key == '\n', key == keyCtrlC, key > ' ' && key <= '~':
			if key > ' ' {
				s.keys.putBack(key)
			}
			return p.Leave()
		}
	}
}

// nextOrPage waits for a key; a page that comes before is painted (errIdle).
func (s *session) nextOrPage(pages <-chan *facts.Facts, last *[]terminal.Line, p *terminal.Painter, n int) (byte, error) {
	if len(s.keys.pending) > 0 {
		return s.keys.next(0)
	}
	select {
	case f, ok := <-pages:
		if !ok {
			return s.keys.next(0) // which knows why
		}
		// Until all phases have ended, init writes to the same terminal.
		if n%repaintAfter == 0 || report.Booting(f) || s.facts != nil && report.Booting(s.facts) {
			p.Forget()
		}
		s.facts, *last = f, report.Page(f)
		if err := p.Paint(*last); err != nil {
			return 0, err
		}
		return 0, errIdle
	case key, ok := <-s.Keys():
		if !ok {
			return s.keys.next(0)
		}
		s.login.touch(s.idle)
		return key, nil
	}
}

// pages are facts, gathered again and again until ctx ends. Gathering takes its
// time when programs do not answer, and keys are not to wait for it.
func (s *session) pages(ctx context.Context) <-chan *facts.Facts {
	out := make(chan *facts.Facts)
	go func() {
		defer close(out)
		for ctx.Err() == nil {
			f := s.asker.Gather(ctx)
			select {
			case out <- f:
			case <-ctx.Done():
				return
			}
			select {
			case <-time.After(s.refresh):
			case <-ctx.Done():
			}
		}
	}()
	return out
}
