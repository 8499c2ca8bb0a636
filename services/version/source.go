package version

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Of is the version of a source tree: the text of its file VERSION.
func Of(source string) (string, error) {
	text, err := os.ReadFile(filepath.Join(source, "VERSION"))
	return strings.TrimSpace(string(text)), err
}

// BuildTime is the time that what is built from a source tree says it is from,
// in UTC: SOURCE_DATE_EPOCH, else that of the commit, else, in an unpacked
// archive of the source, that of its file VERSION.
func BuildTime(source string) (time.Time, error) {
	if text := os.Getenv("SOURCE_DATE_EPOCH"); text != "" {
		return epoch(text)
	}
	if out, err := exec.Command("git", "-C", source, "log", "-1", "--format=%ct").Output(); err == nil {
		return epoch(string(out))
	}
	info, err := os.Stat(filepath.Join(source, "VERSION"))
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime().UTC().Truncate(time.Second), nil
}

func epoch(text string) (time.Time, error) {
	seconds, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("time of the build: want seconds since 1970: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
