package main

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"weir/firmware/gate"
	"weir/services/config"
)

// settings are updated's part of node.yaml. A version that cannot read its
// configuration must go back all the same, so none of this stops updated: it goes
// by what was in force before, and by defaults on a machine that never had any.
type settings struct {
	path  string
	seen  time.Time // when the file was written that was read last
	known bool      // one was read in this life
	now   config.Updates
	fault error
}

// read looks at the file if it has changed; it reports whether what it says is new.
func (s *settings) read() bool {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false // init has put none in force yet
	}
	if err == nil && s.known && info.ModTime().Equal(s.seen) {
		return false
	}
	var file *config.Node
	if err == nil {
		file, err = config.LoadNode(s.path)
	}
	if s.fault = err; err != nil {
		return false
	}
	s.seen, s.known, s.now = info.ModTime(), true, file.Updates
	return true
}

// silence is how long the gate does without an observation: longer than a look at
// a busy node takes.
const silence = 10 * time.Second

// limits of the gate. kept are those of a life before.
func (s *settings) limits(kept *config.Gate) gate.Limits {
	g := config.Gate{Hold: gate.DefaultLimits.Hold, Deadline: gate.DefaultLimits.Deadline}
	switch {
	case s.known:
		g = s.now.Gate
	case kept != nil:
		g = *kept
	}
	return gate.Limits{Hold: g.Hold, Deadline: g.Deadline, Silence: silence}
}
