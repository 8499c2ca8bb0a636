// Package remote reads a repository of updates from an HTTP server: metadata as it
// is asked for, files into a folder, where a download that was interrupted goes on
// (S-104). Nothing that it reads is trusted: package trust decides.
package remote

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"weir/firmware/trust"
)

// Repository is one. It is a trust.Source.
type Repository struct {
	url    string
	client *http.Client
	limit  *rate.Limiter
	stall  time.Duration // without a byte for so long a server is given up
}

// burst is what may be read at once, in bytes, whatever the bandwidth.
const burst = 64 << 10

// Open makes one of a URL without a slash at its end. bandwidth is in bytes per
// second; 0: no limit.
func Open(url string, bandwidth int64) *Repository {
	r := &Repository{url: url, limit: rate.NewLimiter(rate.Inf, burst), stall: 30 * time.Second}
	if bandwidth > 0 {
		r.limit = rate.NewLimiter(rate.Limit(bandwidth), burst)
	}
	r.client = &http.Client{Transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		DisableCompression:    true, // lengths and ranges are those of the file
		MaxIdleConns:          1,
		IdleConnTimeout:       10 * time.Second,

		MaxResponseHeaderBytes: 64 << 10,
	}}
	return r
}

func (r *Repository) String() string { return r.url }

// Close ends idle connections.
func (r *Repository) Close() error {
	r.client.CloseIdleConnections()
	return nil
}

// Metadata is that of trust.Source.
func (r *Repository) Metadata(ctx context.Context, name string, limit int64) ([]byte, error) {
	body, _, err := r.get(ctx, "metadata/"+name, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return trust.ReadAll(body, "metadata/"+name+" of "+r.url, limit)
}

// Target is that of trust.Source.
func (r *Repository) Target(ctx context.Context, name string) (io.ReadCloser, error) {
	body, _, err := r.get(ctx, "targets/"+name, 0)
	return body, err
}

// get asks for a file from an offset in bytes on; the server may give all of it,
// from 0.
func (r *Repository) get(ctx context.Context, path string, offset int64) (body io.ReadCloser, from int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/"+path, nil)
	if err != nil {
		cancel(nil)
		return nil, 0, err
	}
	if offset > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	answer, err := r.client.Do(request)
	if err != nil {
		cancel(nil)
		return nil, 0, err
	}
	switch {
	case answer.StatusCode == http.StatusOK:
	case answer.StatusCode == http.StatusPartialContent && offset > 0 && begins(answer.Header.Get("Content-Range"), offset):
		from = offset
	case answer.StatusCode == http.StatusNotFound:
		err = fmt.Errorf("%s/%s: %w", r.url, path, fs.ErrNotExist)
	default:
		err = fmt.Errorf("%s/%s: the server answers %.80q", r.url, path, answer.Status)
	}
	if err != nil {
		answer.Body.Close()
		cancel(nil)
		return nil, 0, err
	}
	give := func() { cancel(fmt.Errorf("the server has sent nothing for %v", r.stall)) }
	return &reader{ctx: ctx, ReadCloser: answer.Body, limit: r.limit, stall: r.stall, timer: time.AfterFunc(r.stall, give), cancel: cancel}, from, nil
}

// begins checks that a part is the one that was asked for (RFC 9110, 14.4).
func begins(contentRange string, offset int64) bool {
	part, bytes := strings.CutPrefix(contentRange, "bytes ")
	first, _, _ := strings.Cut(part, "-")
	return bytes && first == strconv.FormatInt(offset, 10)
}

// reader is the body of an answer, no faster than allowed.
type reader struct {
	io.ReadCloser
	ctx    context.Context
	limit  *rate.Limiter
	stall  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func (r *reader) Read(p []byte) (int, error) {
	r.timer.Reset(r.stall)
	n, err := r.ReadCloser.Read(p[:min(len(p), burst)])
	r.timer.Stop() // waiting for the limit is not the server's fault
	if err != nil && err != io.EOF && r.ctx.Err() != nil {
		err = context.Cause(r.ctx)
	}
	if n > 0 {
		if wait := r.limit.WaitN(r.ctx, n); wait != nil && err == nil {
			err = context.Cause(r.ctx)
		}
	}
	return n, err
}

func (r *reader) Close() error {
	r.timer.Stop()
	r.cancel(nil)
	return r.ReadCloser.Close()
}
