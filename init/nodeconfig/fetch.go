package nodeconfig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// CA is what https servers of weir.config are checked against: the cluster's,
// from the state partition.
const CA = "/var/lib/weir/identity/ca.crt"

const (
	attemptLimit = 5 * time.Second
	retryPause   = time.Second
	redirects    = 3
)

// FetchHTTP gets a configuration by HTTP, trying until ctx ends.
func (l *Loader) FetchHTTP(ctx context.Context, url string) ([]byte, error) {
	client := &http.Client{Timeout: attemptLimit, Transport: &http.Transport{TLSClientConfig: l.tls(), DisableKeepAlives: true},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > redirects {
				return errors.New("too many redirects")
			}
			return nil
		}}
	for {
		text, err := get(ctx, client, url)
		if err == nil {
			return text, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(retryPause):
		}
	}
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r, err := client.Do(req)
	if err != nil {
		return nil, err // names the URL, without a password
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", req.URL.Redacted(), r.Status)
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", req.URL.Redacted(), err)
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("%s has more than %d bytes: that is no configuration", req.URL.Redacted(), maxSize)
	}
	return text, nil
}

// tls trusts the cluster's CA only; without one, no https server.
func (l *Loader) tls() *tls.Config {
	pool := x509.NewCertPool()
	if pem, err := os.ReadFile(filepath.Join(l.Root, CA)); err == nil {
		pool.AppendCertsFromPEM(pem)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}
}
