package clock

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/init/phase"
)

// fake is a kernel's clock that stands still unless it is set.
type fake struct {
	now, rtc time.Time
	slewed   time.Duration
}

func (f *fake) Now() time.Time             { return f.now }
func (f *fake) Set(t time.Time) error      { f.now = t; return nil }
func (f *fake) Slew(d time.Duration) error { f.slewed = d; return nil }
func (f *fake) SetRTC(t time.Time) error   { f.rtc = t; return nil }

var build = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// machine has an RTC and a saved time; zero: it has none.
func machine(t *testing.T, own, last time.Time) (*Clock, *fake) {
	t.Helper()
	f := &fake{now: own}
	c := &Clock{root: t.TempDir(), sys: f}
	for path, at := range map[string]time.Time{rtc: own, saved: last} {
		path = filepath.Join(c.root, path)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if !at.IsZero() {
			os.WriteFile(path, []byte(strconv.FormatInt(at.Unix(), 10)+"\n"), 0o644)
		}
	}
	return c, f
}

func TestTheClockStartsAtTheLatestOfRTCBuildAndSavedTime(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		rtc, saved time.Time
		source     string
		want       time.Time
		result     phase.Result
	}{
		{build.Add(2 * day), build.Add(day), RTC, build.Add(2 * day), phase.OK},
		{build.Add(day), build.Add(2 * day), Saved, build.Add(2 * day), phase.Degraded},
		{build.Add(-9000 * day), time.Time{}, Build, build, phase.Degraded},
		{time.Time{}, time.Time{}, Build, build, phase.Degraded},
		{build.Add(100 * 365 * day), build.Add(day), Saved, build.Add(day), phase.Degraded},
		{build.Add(day), build.Add(100 * 365 * day), RTC, build.Add(day), phase.OK},
	} {
		clock, f := machine(t, c.rtc, c.saved)
		o := clock.Start(Release{BuildTime: build})
		if clock.Source() != c.source || !f.now.Equal(c.want) || o.Result != c.result {
			t.Errorf("rtc %v, saved %v: %s %v, %+v", c.rtc, c.saved, clock.Source(), f.now, o)
		}
	}
}

func TestAMachineThatKnowsNoTimeSaysSo(t *testing.T) {
	c, _ := machine(t, time.Time{}, time.Time{})
	if o := c.Start(Release{}); o.Result != phase.Degraded || !strings.Contains(o.Remedy, "machine.ntp") {
		t.Error(o)
	}
}

func TestASavedTimeIsReadAgain(t *testing.T) {
	c, f := machine(t, build.Add(time.Hour), time.Time{})
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	if got := readTime(filepath.Join(c.root, saved)); !got.Equal(f.now) {
		t.Errorf("saved %v, read %v", f.now, got)
	}
}

func TestASmallOffsetIsSlewedAndALargeOneIsSteppedAndGoesIntoTheRTC(t *testing.T) {
	start := build.Add(time.Hour)
	c, f := machine(t, start, time.Time{})
	c.Start(Release{BuildTime: build})
	if err := c.apply(-50 * time.Millisecond); err != nil || f.slewed != -50*time.Millisecond || !f.now.Equal(start) {
		t.Errorf("%v, slewed %v, now %v", err, f.slewed, f.now)
	}
	if err := c.apply(time.Minute); err != nil || !f.now.Equal(start.Add(time.Minute)) || !f.rtc.Equal(f.now) {
		t.Errorf("%v, now %v, rtc %v", err, f.now, f.rtc)
	}
}

func TestAServerThatSaysAnImpossibleTimeIsNotBelievedAndTheNextIsAsked(t *testing.T) {
	c, f := machine(t, build.Add(time.Hour), time.Time{})
	c.Start(Release{BuildTime: build})
	liar, honest := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	ctx, stop := context.WithCancel(context.Background())
	var told []phase.Outcome
	c.Keep(ctx, []netip.Addr{liar, honest}, func(s netip.Addr) (time.Duration, error) {
		if s == liar {
			return -1000 * time.Hour, nil
		}
		return time.Second, nil
	}, func(o phase.Outcome) { told = append(told, o); stop() })
	if c.Source() != "ntp 10.0.0.2" || len(told) != 1 || told[0].Result != phase.OK || !f.now.Equal(build.Add(time.Hour+time.Second)) {
		t.Errorf("%s, %v, told %v", c.Source(), f.now, told)
	}
}

func TestServersThatDoNotAnswerAreToldWithTheRemedy(t *testing.T) {
	c, _ := machine(t, build.Add(time.Hour), time.Time{})
	ctx, stop := context.WithCancel(context.Background())
	var told []phase.Outcome
	c.Keep(ctx, []netip.Addr{netip.MustParseAddr("10.0.0.1")}, func(netip.Addr) (time.Duration, error) { return 0, errors.New("i/o timeout") },
		func(o phase.Outcome) { told = append(told, o); stop() })
	if len(told) != 1 || told[0].Result != phase.Degraded || !strings.Contains(told[0].Reason, "10.0.0.1: i/o timeout") {
		t.Errorf("%v", told)
	}
	if readTime(filepath.Join(c.root, saved)).IsZero() {
		t.Error("the time is not saved while no server answers")
	}
}
