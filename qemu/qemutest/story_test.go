package qemutest

import (
	"os"
	"testing"
	"time"
)

func TestTheStoryLosesNothing(t *testing.T) {
	// The cable of the test before: a busy machine takes its time.
	eventually(t, 3*time.Minute, func() error { return theLab.Well(within(t, time.Minute)) })
	if err := theLab.Story(within(t, 5*time.Minute), os.Stderr); err != nil {
		t.Error(err)
	}
}
