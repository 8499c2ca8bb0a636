package config

import (
	"net/url"
	"strings"
	"time"
)

// Updates is the part of node.yaml that updated reads: where new versions come
// from, and when a version on trial is good (S-104). Without it nothing is pulled.
type Updates struct {
	Repository string        `yaml:"repository"` // http(s) URL of the folder with metadata/ and targets/; empty: only bundles, on command
	Interval   time.Duration `yaml:"interval"`   // between two looks at it, roughly; 0: only on command
	Bandwidth  Size          `yaml:"bandwidth"`  // of downloads, per second; 0: as fast as it comes
	Kexec      bool          `yaml:"kexec"`      // the running kernel starts a version on trial, without the firmware
	Gate       Gate          `yaml:"gate"`
}

// Gate is the health gate of a version on trial.
type Gate struct {
	Hold     time.Duration `yaml:"hold"`     // how long the node must be well without a break
	Deadline time.Duration `yaml:"deadline"` // when it goes back, from the begin of the trial
}

func (u *Updates) defaults() { u.Gate.defaults() }

func (g *Gate) defaults() { g.Hold, g.Deadline = 30*time.Second, 5*time.Minute }

func (u *Updates) validate(d *document) {
	if u.Repository != "" {
		at, err := url.Parse(u.Repository)
		switch {
		case err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || at.RawQuery != "" || at.Fragment != "":
			d.fail("updates.repository", "write it like http://10.30.0.2:8080/weir", "%q is not the URL of a repository", u.Repository)
		case at.User != nil:
			d.fail("updates.repository", "remove them: what is in a repository is signed, not secret", "has a user or a password")
		}
		u.Repository = strings.TrimSuffix(u.Repository, "/")
	}
	switch {
	case u.Interval != 0 && u.Repository == "":
		d.fail("updates.interval", "set updates.repository too", "there is no repository to look at")
	case u.Interval != 0 && (u.Interval < time.Minute || u.Interval > 30*24*time.Hour):
		d.fail("updates.interval", "write 1m to 720h, or 0s for only on command", "%v is out of range", u.Interval)
	}
	if u.Bandwidth != 0 && (u.Bandwidth < 16<<10 || u.Bandwidth > 1<<40) {
		d.fail("updates.bandwidth", "write 16KiB or more, or 0B for as fast as it comes", "%s per second is out of range", u.Bandwidth)
	}
	switch g := u.Gate; {
	case g.Hold < time.Second || g.Hold > time.Hour:
		d.fail("updates.gate.hold", "write 1s to 1h", "%v is out of range", g.Hold)
	case g.Deadline <= g.Hold || g.Deadline > 24*time.Hour:
		d.fail("updates.gate.deadline", "write more than updates.gate.hold, and at most 24h", "%v leaves no time for the %v that health must hold", g.Deadline, g.Hold)
	}
}
