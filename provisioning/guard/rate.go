// Package guard keeps strangers on the provisioning network from using up what
// everybody needs: requests per client and in all, connections, log lines. Whatever
// it remembers is bounded.
package guard

import (
	"net/netip"
	"sync"
	"time"
)

// maxClients bounds the clients that are counted one by one; with more, all of
// them share what one has.
const maxClients = 4096

// Rate allows every client some requests at once, and so many per second after.
type Rate struct {
	perSecond, burst float64

	mu      sync.Mutex
	clients map[netip.Addr]*bucket
	rest    bucket
}

type bucket struct {
	left float64
	at   time.Time
}

// NewRate is a rate, per second and at once.
func NewRate(perSecond, burst float64) *Rate {
	return &Rate{perSecond: perSecond, burst: burst, clients: map[netip.Addr]*bucket{}, rest: bucket{left: burst}}
}

// Allow takes one request of a client.
func (r *Rate) Allow(client netip.Addr, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.clients[client]
	if b == nil {
		if len(r.clients) >= maxClients {
			r.forget(now)
		}
		if len(r.clients) >= maxClients {
			b = &r.rest
		} else {
			b = &bucket{left: r.burst, at: now}
			r.clients[client] = b
		}
	}
	r.fill(b, now)
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

func (r *Rate) fill(b *bucket, now time.Time) {
	b.left = min(r.burst, b.left+max(0, now.Sub(b.at).Seconds())*r.perSecond)
	b.at = now
}

// forget drops the clients that have all their requests left.
func (r *Rate) forget(now time.Time) {
	for c, b := range r.clients {
		if r.fill(b, now); b.left >= r.burst {
			delete(r.clients, c)
		}
	}
}

// Slots bounds what goes on at the same time, per client and in all.
type Slots struct {
	perClient, all int

	mu      sync.Mutex
	used    int
	clients map[netip.Addr]int
}

// NewSlots has so many for one client and so many in all.
func NewSlots(perClient, all int) *Slots {
	return &Slots{perClient: perClient, all: all, clients: map[netip.Addr]int{}}
}

// Take takes a slot; the caller gives it back with free, once.
func (s *Slots) Take(client netip.Addr) (free func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used >= s.all || s.clients[client] >= s.perClient {
		return nil, false
	}
	s.used++
	s.clients[client]++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.used--
		if s.clients[client]--; s.clients[client] == 0 {
			delete(s.clients, client)
		}
	}), true
}
