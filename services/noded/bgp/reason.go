package bgp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"

	gobgplog "github.com/osrg/gobgp/v3/pkg/log"
)

// reasons is the logger of one GoBGP server. GoBGP says why a session is down
// in its log only, so the log is read; an operator sees the reason in `weirctl
// status`. It has a lock of its own: GoBGP logs from inside calls that we make.
type reasons struct {
	log    *slog.Logger
	source string

	mu   sync.Mutex
	last map[string]string // router address: why its session is not established
}

func newReasons(log *slog.Logger, source string) *reasons {
	return &reasons{log: log, source: source, last: map[string]string{}}
}

// get is the last reason for a router.
func (r *reasons) get(router string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[router]
}

// set notes a reason; an empty one when the session is up.
func (r *reasons) set(router, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last[router] != reason && reason != "" {
		r.log.Warn("bgp session is down", "router", router, "source", r.source, "reason", reason)
	}
	r.last[router] = reason
}

// take reads one log record of GoBGP.
func (r *reasons) take(msg string, f gobgplog.Fields) {
	key, _ := f["Key"].(string)
	switch msg {
	case "failed to connect":
		if err, ok := f["Error"].(error); ok {
			r.set(key, connectReason(err, r.source))
		}
	case "received notification":
		r.set(key, fmt.Sprintf("the router sent notification %v/%v (RFC 4271, 4.5)", f["Code"], f["Subcode"]))
	case "Peer Down":
		switch reason := fmt.Sprint(f["Reason"]); {
		case reason == "dying", reason == "deconfigured":
			r.log.Info("bgp session is closed", "router", key, "source", r.source) // by us
		case reason == "hold-timer-expired":
			r.set(key, "nothing heard for the hold time")
		case r.get(key) == "":
			r.set(key, "lost: "+reason)
		}
	}
}

func connectReason(err error, source string) string {
	var ne net.Error
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("source address %s is not on this node", source)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the router refuses connections: is BGP running there, on this port?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "the router is unreachable"
	case errors.As(err, &ne) && ne.Timeout():
		// A router's kernel drops a SYN with a wrong TCP MD5 digest without a word (RFC 2385, 2.0).
		return "no answer from the router; a wrong TCP MD5 password, on either side, looks the same"
	}
	return err.Error()
}

// The methods of GoBGP's logger interface. Its own lines repeat what we log
// about sessions, so only its errors are passed on.

func (r *reasons) Panic(msg string, f gobgplog.Fields) {
	panic(fmt.Sprintf("gobgp: %s %v", msg, f))
}
func (r *reasons) Fatal(msg string, f gobgplog.Fields) {
	panic(fmt.Sprintf("gobgp: %s %v", msg, f))
}
func (r *reasons) Error(msg string, f gobgplog.Fields) {
	r.log.Error("gobgp: "+msg, "source", r.source, "fields", fmt.Sprint(f))
	r.take(msg, f)
}
func (r *reasons) Warn(msg string, f gobgplog.Fields)  { r.take(msg, f) }
func (r *reasons) Info(msg string, f gobgplog.Fields)  { r.take(msg, f) }
func (r *reasons) Debug(msg string, f gobgplog.Fields) { r.take(msg, f) }
func (r *reasons) SetLevel(gobgplog.LogLevel)          {}

// GetLevel asks for everything: failed attempts to connect are logged as debug.
func (r *reasons) GetLevel() gobgplog.LogLevel { return gobgplog.DebugLevel }

// background is the context of calls into GoBGP, which it does not heed.
var background = context.Background()
