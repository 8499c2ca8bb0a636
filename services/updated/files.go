package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"weir/firmware/trial"
	"weir/services/config"
	"weir/services/wholefile"
)

// job is an installation that somebody wants. It outlives restarts, so that an
// interrupted one goes on.
type job struct {
	Version string `json:"version,omitempty"` // empty: the newest
	Bundle  string `json:"bundle,omitempty"`  // path; empty: the repository
	Try     bool   `json:"try,omitempty"`
	// Ahead: it is only brought to the node, as the schedule does. The slot keeps
	// the version of before until an operator wants the new one.
	Ahead bool `json:"ahead,omitempty"`
	// Installed: the slot holds it. What is left is the trial.
	Installed bool `json:"installed,omitempty"`
	// Tries is what the record counted then: one that counts others has been tried.
	Tries uint8 `json:"tries,omitempty"`
}

// same reports whether two jobs want the same, however far they are.
func (j job) same(as job) bool {
	j.Installed, j.Tries = as.Installed, as.Tries
	return j == as
}

// wishes are what operators and schedule want, on the state partition, with what a
// version that cannot read its configuration has to know.
type wishes struct {
	Paused bool         `json:"paused,omitempty"`
	Job    *job         `json:"job,omitempty"`
	Gate   *config.Gate `json:"gate,omitempty"` // last in force
	// Served is the last version that the boot server has committed.
	Served string `json:"served,omitempty"`
}

// boot is what AtBoot has decided, in the run directory, which ends with the boot.
type boot struct {
	ID        string        `json:"boot_id"`
	Decided   bool          `json:"decided"` // false: AtBoot was interrupted, and runs again
	Prove     bool          `json:"prove"`
	MayGoBack bool          `json:"may_go_back"`
	Say       string        `json:"say,omitempty"`
	Fault     string        `json:"fault,omitempty"` // of the boot variables or the record
	Uptime    time.Duration `json:"uptime"`          // when it was decided
}

// decide runs AtBoot unless it was run in this boot. The note comes first and
// last: where it cannot be written nothing is counted, again and again.
func decide(path string, w *world, n upgrader) (boot, error) {
	b := boot{}
	err := load(path, &b)
	if err == nil && b.Decided && b.ID == w.boot {
		return b, nil
	}
	b = boot{ID: w.boot}
	if err := save(path, b); err != nil {
		return b, err
	}
	_, d, err := n.AtBoot(w.version)
	b.Decided, b.Prove, b.MayGoBack, b.Say, b.Uptime = true, d.Do == trial.Prove, d.MayGoBack, d.Say, w.uptime()
	if err != nil {
		b.Fault = err.Error()
	}
	return b, save(path, b)
}

// maxFile bounds our own files, in bytes.
const maxFile = 64 << 10

// load reads one of our files; one that is not there leaves v as it is.
func load(path string, v any) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && info.Size() > maxFile:
		err = errors.New("it is too large")
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// save replaces a file: after a power cut it is the old or the new one.
func save(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return wholefile.Replace(path, text)
}
