package main

import (
	"context"
	"testing"
	"time"
)

func TestAJudgeThatComesAndGoesIsNotAbsent(t *testing.T) {
	looks := 0
	there := func() bool { looks++; return looks < 50 && looks%5 != 0 }
	if !absentFor(t.Context(), 500*time.Millisecond, time.Millisecond, there) || looks < 50 {
		t.Errorf("absent after %d looks", looks)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if absentFor(ctx, time.Hour, time.Hour, there) {
		t.Error("absent, though the machine ends")
	}
}
