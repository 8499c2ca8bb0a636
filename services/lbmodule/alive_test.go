package main

import (
	"context"
	"log/slog"
	"testing"
	"time"
)

func TestALoopThatDoesNotComeRoundIsNotAlive(t *testing.T) {
	m := &module{loop: newLoop(slog.New(slog.DiscardHandler))}
	if err := m.alive(t.Context()); err != nil {
		t.Errorf("one that has not begun: %v", err)
	}
	m.serving.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := m.alive(ctx); err == nil {
		t.Error("a loop that nobody runs is alive")
	}
	go func() { (<-m.loop.calls)() }() // it comes round once
	if err := m.alive(t.Context()); err != nil {
		t.Error(err)
	}
}
