// Package web gives machines that boot their script, kernel, initramfs and
// configuration, and running ones the signed updates, over HTTP. It holds nothing
// secret: whoever is on the provisioning network can listen.
package web

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"weir/provisioning/guard"
	"weir/provisioning/machines"
)

// Paths.
const (
	scriptPath     = "/script"
	offerPath      = "/offer/"
	repositoryPath = "/repository/"
)

// Bounds. A kernel and an initramfs of 40 MiB take five minutes at 1 Mbit/s.
const (
	perClient   = 8
	inAll       = 256
	headerTime  = 5 * time.Second
	readTime    = 10 * time.Second
	writeTime   = 10 * time.Minute
	idleTime    = 30 * time.Second
	maxHeader   = 8 << 10 // bytes
	maxURL      = 1 << 10 // bytes
	requests    = 20      // per second and client
	atOnce      = 60
	maxFilename = 255
)

// Neighbours says which MAC address a client on our network has.
type Neighbours interface {
	MAC(netip.Addr) (string, bool)
}

// Server is the HTTP service.
type Server struct {
	Log        *slog.Logger
	Counters   *guard.Counters
	Machines   *machines.Registry
	Neighbours Neighbours
	Programs   map[string][]byte           // iPXE's
	Images     func(version string) string // folder
	Repository string                      // folder; empty: none
	Base       string                      // "http://10.40.0.1:6094"
	Words      []string                    // of every kernel command line, behind the image's own

	offers offers
	rate   *guard.Rate
	said   guard.Said
	repo   *os.Root
}

// Serve answers what comes to a listener until the context ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.offers.list = map[string]offer{}
	s.rate = guard.NewRate(requests, atOnce)
	if s.Repository != "" {
		root, err := os.OpenRoot(s.Repository)
		if err != nil {
			return err
		}
		defer root.Close()
		s.repo = root
	}
	h := &http.Server{Handler: s, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader, ErrorLog: log.New(discard{s}, "", 0)}
	stop := context.AfterFunc(ctx, func() { h.Close() })
	defer stop()
	err := h.Serve(&guard.Listener{Listener: l, Slots: guard.NewSlots(perClient, inAll), Refused: func() { s.Counters.Refuse("http", "too_many_connections") }})
	if ctx.Err() != nil && errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// discard counts what the HTTP library would log: strangers must not fill the log.
type discard struct{ s *Server }

func (d discard) Write(b []byte) (int, error) {
	d.s.Counters.Refuse("http", "malformed")
	return len(b), nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	client := address.Addr().Unmap()
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case err != nil:
		s.refuse(w, client, http.StatusBadRequest, "malformed", "")
	case !s.rate.Allow(client, time.Now()):
		s.refuse(w, client, http.StatusTooManyRequests, "too_many_requests", "")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		s.refuse(w, client, http.StatusMethodNotAllowed, "method", "")
	case len(r.RequestURI) > maxURL:
		s.refuse(w, client, http.StatusRequestURITooLong, "oversized", "")
	default:
		s.route(w, r, client)
	}
}

// refuse counts a refusal and tells the client no more than the status; the log
// has the reason.
func (s *Server) refuse(w http.ResponseWriter, client netip.Addr, status int, reason, text string) {
	s.Counters.Refuse("http", reason)
	if text != "" && s.said.New(reason+client.String()+text, time.Now()) {
		s.Log.Warn("an HTTP client is refused", "client", client, "status", status, "reason", text)
	}
	http.Error(w, http.StatusText(status), status)
}

// answer counts an answer in plain text, and gives it.
func (s *Server) answer(w http.ResponseWriter, kind, text string) {
	s.Counters.Answer("http", kind)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text)) // the client's loss
}

// Base is how clients call the service at an address.
func Base(address netip.Addr, port uint16) string {
	return "http://" + netip.AddrPortFrom(address, port).String()
}
