package program

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// notified is a supervisor's end of its socket.
type notified struct {
	t    *testing.T
	conn *net.UnixConn
}

func supervised(t *testing.T, watchdog time.Duration) *notified {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(watchdog.Microseconds(), 10))
	return &notified{t, conn}
}

func (n *notified) told(want string) {
	n.t.Helper()
	b := make([]byte, 256)
	n.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	k, err := n.conn.Read(b)
	if err != nil || string(b[:k]) != want {
		n.t.Fatalf("told %q, %v, want %q", b[:k], err, want)
	}
}

func TestTheSupervisorHearsOfEachStatusOnce(t *testing.T) {
	n := supervised(t, 0)
	s := NewSupervisor(slog.New(slog.DiscardHandler))
	s.Ready("waits")
	s.Status("waits")
	s.Status("serves\ntwo lines")
	s.Stopping()
	n.told("READY=1\nSTATUS=waits")
	n.told("STATUS=serves; two lines")
	n.told("STOPPING=1")
}

func TestTheWatchdogIsFedOnlyByALivingProgram(t *testing.T) {
	n := supervised(t, 30*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var looks atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		NewSupervisor(slog.New(slog.DiscardHandler)).Watchdog(ctx, func(look context.Context) error {
			if looks.Add(1) <= 3 {
				return nil
			}
			if looks.Load() >= 6 {
				cancel()
			}
			<-look.Done() // it hangs
			return errors.New("hung")
		})
	}()
	for range 3 {
		n.told("WATCHDOG=1")
	}
	<-done
	n.conn.SetReadDeadline(time.Now())
	if k, err := n.conn.Read(make([]byte, 64)); err == nil {
		t.Errorf("a hung program fed the watchdog: %d bytes", k)
	}
}

func TestWithoutAWatchdogNobodyIsAsked(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "")
	NewSupervisor(slog.New(slog.DiscardHandler)).Watchdog(t.Context(), func(context.Context) error {
		t.Error("asked")
		return nil
	})
}
