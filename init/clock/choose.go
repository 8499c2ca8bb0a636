// Package clock gives the machine a time that is never before its image was
// built nor before it last ran (the phase "clock"), and then keeps it right by
// NTP where a server answers.
package clock

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Sources of the time, in the words of the API. One of NTP is "ntp ADDRESS".
const (
	RTC   = "rtc"
	Build = "build"
	Saved = "saved"
)

const (
	saved = "/var/lib/weir/boot/time"         // the time of the last save
	rtc   = "/sys/class/rtc/rtc0/since_epoch" // the machine's own clock
)

// farthest is how long after the image was built a time is still believed: it
// keeps a broken RTC or NTP server from making all certificates expire.
const farthest = 30 * 365 * 24 * time.Hour

// Candidate is a time and where it is from.
type Candidate struct {
	Source string
	Time   time.Time
}

// Choose takes the latest. Of equal ones the first; a zero time is none.
func Choose(all ...Candidate) Candidate {
	var best Candidate
	for _, c := range all {
		if !c.Time.IsZero() && c.Time.After(best.Time) {
			best = c
		}
	}
	return best
}

// believable: not before the build, not absurdly long after it.
func believable(t, build time.Time) bool {
	return !t.Before(build) && (build.IsZero() || t.Before(build.Add(farthest)))
}

// Release is /etc/weir/release.json.
type Release struct {
	Version   string    `json:"version"`
	BuildTime time.Time `json:"build_time"`
}

// ReadRelease reads it; an image without one has no version and no build time.
func ReadRelease(root string) (Release, error) {
	var r Release
	b, err := os.ReadFile(filepath.Join(root, "/etc/weir/release.json"))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("/etc/weir/release.json: %w", err)
	}
	return r, nil
}

// readTime reads a file with seconds since 1970; zero: there is none.
func readTime(path string) time.Time {
	b, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}
