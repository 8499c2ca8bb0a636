package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"weir/services/console/facts"
	"weir/services/console/report"
	"weir/services/console/terminal"
)

// errWatch ends the prompt: the status page is wanted.
var errWatch = errors.New("status page")

const (
	// repaintAfter is how many refreshes a page is taken to be on the terminal:
	// kernel messages come in between.
	repaintAfter = 5
	// calmAfter is how many refreshes are painted whole once all phases have
	// ended: init's words about the last one are to come still.
	calmAfter = 3
	// breath is how many times as long as the last gathering took is waited
	// before the next one: a machine that is out of breath has better to do.
	breath = 4
	// longestBreath bounds that.
	longestBreath = 20 * time.Second
)

// watcher shows the status page on a terminal.
type watcher struct {
	*session
	painter *terminal.Painter
	page    []terminal.Line // shown
	whole   int             // pages that are painted in full, from now on
	painted int
}

// watch shows the status page until somebody types. What is typed begins a
// command; Enter only asks for the prompt.
func (s *session) watch(ctx context.Context) error {
	w := &watcher{session: s, painter: terminal.NewPainter(s), page: report.Waiting()}
	if s.facts != nil {
		w.page = report.Page(s.facts)
	}
	if err := w.painter.Paint(w.page); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	pages := s.pages(ctx)
	defer func() {
		cancel()
		for range pages { // the asker is free again when they end
		}
	}()
	for {
		key, err := w.next(pages)
		switch {
		case errors.Is(err, errIdle): // a page was painted
		case err != nil:
			return err
		case key == keyCtrlL:
			w.painter.Forget()
			if err := w.painter.Paint(w.page); err != nil {
				return err
			}
		case key == '\r', key == '\n', key == keyCtrlC, key > ' ' && key <= '~':
			if key > ' ' {
				s.keys.putBack(key)
			}
			return w.painter.Leave()
		}
	}
}

// next waits for a key; facts that come before are painted (errIdle).
func (w *watcher) next(pages <-chan *facts.Facts) (byte, error) {
	if len(w.keys.pending) > 0 {
		return w.keys.next(0)
	}
	select {
	case f, ok := <-pages:
		if !ok {
			return w.keys.next(0) // which knows why
		}
		w.facts = f
		return 0, cmp.Or(w.paint(), errIdle)
	case key, ok := <-w.Keys():
		if !ok {
			return w.keys.next(0)
		}
		w.login.touch(w.idle)
		return key, nil
	}
}

// paint shows the facts. Whole pages are for when others write to the terminal,
// too: init until all phases have ended and a little longer, the kernel at times.
func (w *watcher) paint() error {
	if report.Booting(w.facts) {
		w.whole = calmAfter
	}
	if w.whole > 0 || w.painted%repaintAfter == 0 {
		w.painter.Forget()
	}
	w.whole, w.painted = max(0, w.whole-1), w.painted+1
	w.page = report.Page(w.facts)
	return w.painter.Paint(w.page)
}

// pages are facts, gathered again and again until ctx ends. Gathering takes its
// time when programs do not answer, and keys are not to wait for it.
func (s *session) pages(ctx context.Context) <-chan *facts.Facts {
	out := make(chan *facts.Facts)
	go func() {
		defer close(out)
		for ctx.Err() == nil {
			start := time.Now()
			f := s.asker.Gather(ctx)
			took := time.Since(start)
			select {
			case out <- f:
			case <-ctx.Done():
				return
			}
			select {
			case <-time.After(max(s.refresh, min(breath*took, longestBreath))):
			case <-ctx.Done():
			}
		}
	}()
	return out
}
