package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"weir/services/config"
)

// modulePort is where a module answers L7 pings (contract).
const modulePort = 6091

// maxAnswer bounds what is read of an HTTP answer, in bytes.
const maxAnswer = 64 << 10

// Verdict is the result of one check of a server.
type Verdict struct {
	Server   uint16
	OK       bool   // the module answered, and every server check passed
	Draining bool   // the module says so: no offers, but well
	Alive    bool   // the machine answers at all, if only by refusing a connection (S-58)
	Why      string // why it is not OK
	Took     time.Duration
}

// target is a server to check.
type target struct {
	number  uint16
	address netip.Addr
	checks  []endpointCheck
}

// endpointCheck is an optional check of the server itself (S-55).
type endpointCheck struct {
	endpoint string
	config.ServerCheck
}

// client makes HTTP requests for checks. Each opens a connection of its own: one
// that is kept open says nothing about whether a new one can be had.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// probe checks a server once. Everything together takes no longer than timeout,
// plus as long again to see whether a machine that failed lives.
func probe(ctx context.Context, c *http.Client, t *target, timeout time.Duration) Verdict {
	v := Verdict{Server: t.number}
	start := time.Now()
	err := askModule(ctx, c, t, timeout, &v)
	for _, e := range t.checks {
		if err != nil {
			break
		}
		if err = askServer(ctx, c, t, &e, timeout); err != nil {
			err = fmt.Errorf("check of endpoint %s: %w", e.endpoint, err)
			v.Alive = true // its module has just answered
		}
	}
	v.Took = time.Since(start)
	if err == nil {
		v.OK, v.Alive = true, true
		return v
	}
	v.Why = err.Error()
	if !v.Alive && ctx.Err() == nil {
		v.Alive = answersTCP(ctx, t.address, timeout)
	}
	return v
}

// askModule is the L7 ping.
func askModule(ctx context.Context, c *http.Client, t *target, timeout time.Duration, v *Verdict) error {
	body, err := get(ctx, c, hostPort(t.address, modulePort), "/", timeout)
	if err != nil {
		return fmt.Errorf("ping of its module: %w", err)
	}
	var h struct {
		Draining bool `json:"draining"`
	}
	if err := json.Unmarshal(body, &h); err != nil {
		v.Alive = true
		return fmt.Errorf("ping of its module: the answer is not a module's: %w", err)
	}
	v.Draining = h.Draining
	return nil
}

// askServer is a check of the server itself, at the server's own address.
func askServer(ctx context.Context, c *http.Client, t *target, e *endpointCheck, timeout time.Duration) error {
	at := hostPort(t.address, e.Port)
	if e.Type == config.CheckHTTP {
		_, err := get(ctx, c, at, e.Path, timeout)
		return err
	}
	conn, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, "tcp", at)
	if err != nil {
		return plain(err)
	}
	return conn.Close()
}

func hostPort(a netip.Addr, port uint16) string {
	return net.JoinHostPort(a.String(), strconv.Itoa(int(port)))
}

// get is one HTTP request that any answer below 400 satisfies.
func get(ctx context.Context, c *http.Client, at, path string, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+path, nil)
	if err != nil {
		return nil, fmt.Errorf("request http://%s%s: %w", at, path, err)
	}
	answer, err := c.Do(r)
	if err != nil {
		return nil, plain(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 400 {
		return nil, fmt.Errorf("HTTP status %s", answer.Status)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", plain(err))
	}
	return body, nil
}

// plain says what an operator wants to know of a network error.
func plain(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer in time")
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return errors.New("unreachable")
	}
	return err
}

// answersTCP reports whether the kernel of a machine answers: it accepts a
// connection, or refuses it.
func answersTCP(ctx context.Context, a netip.Addr, timeout time.Duration) bool {
	conn, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, "tcp", hostPort(a, modulePort))
	if err == nil {
		conn.Close()
		return true
	}
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET)
}
