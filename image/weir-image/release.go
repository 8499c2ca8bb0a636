package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// release is /etc/weir/release.json of a node. The clock of a node never starts
// before its build time.
type release struct {
	Version   string    `json:"version"`
	BuildTime time.Time `json:"build_time"`
	Kernel    string    `json:"kernel"`
}

func (r release) text() string {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(err)
	}
	return string(text) + "\n"
}

// version is the text of the file VERSION.
func version(source string) (string, error) {
	text, err := os.ReadFile(filepath.Join(source, "VERSION"))
	return strings.TrimSpace(string(text)), err
}

// buildTime is the time that the image says it is from: SOURCE_DATE_EPOCH, else
// that of the commit, else, in an unpacked archive of the source, that of its
// file VERSION.
func buildTime(source string) (time.Time, error) {
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
