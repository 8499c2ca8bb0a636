package clock

import (
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"weir/init/phase"
	"weir/services/wholefile"
)

// Clock is the machine's.
type Clock struct {
	root string // "" on a machine, a folder in a test
	sys  system

	mu     sync.Mutex
	source string    // guarded by mu
	build  time.Time // guarded by mu
}

// system is the kernel's clock and the machine's.
type system interface {
	Now() time.Time
	Set(time.Time) error
	Slew(time.Duration) error // changes it gradually by so much
	SetRTC(time.Time) error
}

// New is the clock of this machine.
func New() *Clock { return &Clock{sys: kernel{}} }

// Source is where the time is from.
func (c *Clock) Source() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.source
}

// Start sets the clock to the latest of RTC, build time and last saved time.
func (c *Clock) Start(r Release) phase.Outcome {
	own := Candidate{RTC, readTime(filepath.Join(c.root, rtc))}
	build := Candidate{Build, r.BuildTime}
	last := Candidate{Saved, readTime(filepath.Join(c.root, saved))}
	for _, t := range []*Candidate{&own, &last} {
		if !believable(t.Time, r.BuildTime) {
			t.Time = time.Time{}
		}
	}
	best := Choose(own, build, last)
	c.set(best.Source, r.BuildTime)
	if best.Time.IsZero() {
		return phase.Degrade("set the machine's clock in its firmware, or name an NTP server in machine.ntp",
			"neither RTC nor image nor state partition know the time")
	}
	// The kernel took the RTC's time when it started; that has gone on since.
	if now := c.sys.Now(); best.Source != RTC || now.Before(best.Time) || !believable(now, r.BuildTime) {
		if err := c.sys.Set(best.Time); err != nil {
			return phase.Fail("report this as a defect", "set the clock: %v", err)
		}
	}
	if best.Source != RTC {
		return phase.Degrade("replace the machine's battery, or name an NTP server in machine.ntp",
			"the machine's clock is behind the %s time %s, which is taken instead", best.Source, best.Time.UTC().Format(time.RFC3339))
	}
	return phase.Detail("%s (%s)", c.sys.Now().UTC().Format(time.RFC3339), RTC)
}

func (c *Clock) set(source string, build time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.source, c.build = source, build
}

// Save keeps the time on the state partition, for a machine whose RTC forgets.
func (c *Clock) Save() error {
	return wholefile.Replace(filepath.Join(c.root, saved), []byte(strconv.FormatInt(c.sys.Now().Unix(), 10)+"\n"))
}
