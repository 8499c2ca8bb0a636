// Package traffic is the lab's clients: real connections from the client's
// namespace through the router, and what became of them.
package traffic

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"weir/qemu/netns"
)

// Client opens connections from a namespace.
type Client struct {
	Namespace string
	Timeout   time.Duration // of one whole request
}

// Tally is what became of many requests. Each had a connection of its own.
type Tally struct {
	Answered map[string]int // by server
	Lost     []error        // one per request without the right answer
}

// Total is how many requests were answered.
func (t *Tally) Total() int {
	sum := 0
	for _, n := range t.Answered {
		sum += n
	}
	return sum
}

// httpClient makes one that uses every connection once.
func (c Client) httpClient() *http.Client {
	return &http.Client{
		Timeout:   c.Timeout,
		Transport: &http.Transport{DialContext: netns.Dialer(c.Namespace, net.Dialer{}), DisableKeepAlives: true, DisableCompression: true},
	}
}

// Requests asks the targets in turn, n times in all, for which server they are,
// at most concurrency at a time.
func (c Client) Requests(ctx context.Context, targets []netip.AddrPort, n, concurrency int) *Tally {
	tally := &Tally{Answered: map[string]int{}}
	client := c.httpClient()
	var mu sync.Mutex
	parallel(n, concurrency, func(i int) {
		body, err := get(ctx, client, targets[i%len(targets)], "/")
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			tally.Lost = append(tally.Lost, err)
			return
		}
		tally.Answered[string(body)]++
	})
	return tally
}

func get(ctx context.Context, client *http.Client, target netip.AddrPort, path string) ([]byte, error) {
	body, err := open(ctx, client, target, path)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read http://%v%s: %w", target, path, err)
	}
	return b, nil
}

func open(ctx context.Context, client *http.Client, target netip.AddrPort, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+target.String()+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("get http://%v%s: %s", target, path, resp.Status)
	}
	return resp.Body, nil
}

// Transfer is one download.
type Transfer struct {
	SHA256  string
	Bytes   int64
	Elapsed time.Duration
}

// Rate is in Mbit/s.
func (t Transfer) Rate() float64 { return float64(t.Bytes) * 8 / t.Elapsed.Seconds() / 1e6 }

// Download fetches a path and returns the digest of what came.
func (c Client) Download(ctx context.Context, target netip.AddrPort, path string) (Transfer, error) {
	started := time.Now()
	body, err := open(ctx, c.httpClient(), target, path)
	if err != nil {
		return Transfer{}, err
	}
	defer body.Close()
	digest := sha256.New()
	n, err := io.Copy(digest, body)
	if err != nil {
		return Transfer{}, fmt.Errorf("download http://%v%s, after %d bytes: %w", target, path, n, err)
	}
	return Transfer{SHA256: hex.EncodeToString(digest.Sum(nil)), Bytes: n, Elapsed: time.Since(started)}, nil
}

// parallel calls fn for 0 to n-1, at most concurrency at a time.
func parallel(n, concurrency int, fn func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range concurrency {
		wg.Go(func() {
			for i := range next {
				fn(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}
