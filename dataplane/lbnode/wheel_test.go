package lbnode

import (
	"math/rand/v2"
	"testing"
)

func TestWheelFiresEveryTimerOnceAndNeverEarly(t *testing.T) {
	const n = 500
	r := rand.New(rand.NewPCG(3, 4))
	w := newWheel(n)
	due := map[uint32]int64{}
	now := int64(5_000_000_000)
	for step := 0; step < 20000; step++ {
		switch r.IntN(3) {
		case 0:
			i, at := uint32(r.IntN(n)), now+r.Int64N(9e9)
			w.schedule(i, at)
			due[i] = at
		case 1:
			i := uint32(r.IntN(n))
			w.cancel(i)
			delete(due, i)
		default:
			now += r.Int64N(20e6)
			for {
				i, ok := w.expire(now)
				if !ok {
					break
				}
				at, set := due[i]
				if !set || at > now {
					t.Fatalf("timer %d fired at %d, was due %d (set: %v)", i, now, at, set)
				}
				delete(due, i)
			}
			next := w.nextDue(now)
			for i, at := range due {
				if at > now && at+wheelTick <= next {
					t.Fatalf("at %d timer %d is due at %d, the wheel says %d", now, i, at, next)
				}
				if at <= now-wheelTick {
					t.Fatalf("timer %d due at %d did not fire by %d", i, at, now)
				}
			}
		}
		if w.count != len(due) {
			t.Fatalf("wheel counts %d timers, there are %d", w.count, len(due))
		}
	}
}

func TestWheelSurvivesAPauseLongerThanItsTurn(t *testing.T) {
	w := newWheel(3)
	w.expire(1e9)
	w.schedule(0, 2e9)
	w.schedule(1, 30e9)
	if i, ok := w.expire(20e9); !ok || i != 0 {
		t.Errorf("after the pause: %d, %v", i, ok)
	}
	if i, ok := w.expire(29e9); ok {
		t.Errorf("timer %d fired early", i)
	}
	if i, ok := w.expire(30e9); !ok || i != 1 {
		t.Errorf("at its time: %d, %v", i, ok)
	}
}

func TestBucketAllowsItsRateAndItsBurst(t *testing.T) {
	b := newBucket(100, 10)
	now, got := int64(1e9), 0
	for range 50 {
		if b.take(now) {
			got++
		}
	}
	if got != 10 {
		t.Errorf("burst of %d, want 10", got)
	}
	for got = 0; now < 3e9; now += 1e6 {
		if b.take(now) {
			got++
		}
	}
	if got < 198 || got > 201 {
		t.Errorf("%d in two seconds, want 200", got)
	}
}
