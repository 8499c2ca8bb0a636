package main

import (
	"strings"
	"testing"

	"weir/dataplane/engine"
)

func TestAThreadThatDoesNotComeRoundIsFound(t *testing.T) {
	threads := []engine.ThreadStats{{Name: "rx0"}, {Name: "worker0"}}
	p := progress{}
	round := func(which ...int) error {
		for _, i := range which {
			threads[i].Counters[engine.Polls]++
		}
		return p.look(threads)
	}
	if err := round(); err != nil {
		t.Errorf("at the first look: %v", err)
	}
	if err := round(0, 1); err != nil {
		t.Error(err)
	}
	if err := round(0); err == nil || !strings.Contains(err.Error(), "thread worker0 does not come round") {
		t.Errorf("got %v", err)
	}
	if err := round(0, 1); err != nil {
		t.Errorf("after it came round again: %v", err)
	}
}
