// Package refusal says why an update is not taken (S-104). Every refusal has a
// reason that programs can compare and count, and a text with the remedy.
package refusal

import (
	"errors"
	"fmt"
)

// Reason is the class of a refusal, as it stands in metrics, in the boot history
// and in -o json.
type Reason string

// The reasons.
const (
	NoRoot       Reason = "no-trusted-root"  // the image has no /etc/weir/root.json
	Unsigned     Reason = "unsigned"         // metadata without any signature
	TooFewKeys   Reason = "too-few-keys"     // fewer trusted signatures than the threshold
	Expired      Reason = "expired"          // metadata after its time
	Altered      Reason = "altered"          // not what was signed
	Stale        Reason = "older-than-seen"  // metadata older than what was accepted before
	BelowFloor   Reason = "below-floor"      // a version that nobody may go back to
	Incompatible Reason = "wrong-compatible" // made for other machines
	Truncated    Reason = "truncated"        // a bundle that ends too early
	Malformed    Reason = "malformed"        // not what a bundle or a repository looks like
	TooLarge     Reason = "too-large"        // more than is ever read
	NoRoom       Reason = "no-room"          // the disk is too small
	Missing      Reason = "missing"          // the version or a file of it is not there
)

// Error is one refusal.
type Error struct {
	Reason Reason
	What   string // what is wrong, with its place
	Remedy string // what an operator does about it
	Err    error  // the cause; may be nil
}

func (e *Error) Error() string {
	text := fmt.Sprintf("refused (%s): %s", e.Reason, e.What)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text + "; " + e.Remedy
}

func (e *Error) Unwrap() error { return e.Err }

// New makes a refusal; its text is made from format and args.
func New(reason Reason, remedy, format string, args ...any) *Error {
	return &Error{Reason: reason, Remedy: remedy, What: fmt.Sprintf(format, args...)}
}

// Of is the reason of a refusal, and empty for every other error.
func Of(err error) Reason {
	var r *Error
	if errors.As(err, &r) {
		return r.Reason
	}
	return ""
}
