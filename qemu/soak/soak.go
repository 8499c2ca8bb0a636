// Package soak holds connections open through a cluster while others disturb
// it, and judges what became of them: every byte is verified, every stall is
// measured, every loss has a cause. Both ends of the connections live in this
// one process, in the namespaces of the client and of the servers, so either
// end's view counts.
package soak

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Plan is what a soak consists of.
type Plan struct {
	Client      string           // namespace that connects
	Targets     []netip.AddrPort // connected to in turn
	Connections int              // held open, evenly of every kind
	Idle        time.Duration    // how long the idle kinds are silent each time
	Pace        time.Duration    // between two chunks of an end that speaks all the time
	Rate        int              // new short connections per second
	Patience    time.Duration    // without progress for so long a connection is lost
	// Explain, if not nil, tells what the cluster knows of a connection without
	// progress, while both of its ends still have it.
	Explain func(client, target netip.AddrPort) string
}

// Soak is a running one.
type Soak struct {
	plan  Plan
	ctx   context.Context // ends when nobody speaks any more
	cease context.CancelFunc

	mu        sync.Mutex
	sessions  map[uint64]*session
	lost      []Loss
	closing   bool
	listeners []net.Listener
	taken     map[net.Conn]bool // at servers, short or of unknown clients
	orphans   int
	started   time.Time

	fresh freshTally
	news  sync.WaitGroup // new connections
	wg    sync.WaitGroup // everything else
}

// New prepares a soak. Listen gives it servers, Open connections.
func New(plan Plan) *Soak {
	ctx, cease := context.WithCancel(context.Background())
	return &Soak{plan: plan, ctx: ctx, cease: cease, sessions: map[uint64]*session{}, taken: map[net.Conn]bool{}, started: time.Now()}
}

// openers is how many connections are opened at a time.
const openers = 16

// Open establishes all connections of the plan and starts the new ones. It
// fails if one cannot be established.
func (s *Soak) Open(ctx context.Context) error {
	next := make(chan int)
	var opening sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	for range min(openers, s.plan.Connections) {
		opening.Go(func() {
			for i := range next {
				if err := s.open(ctx, i); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	for i := range s.plan.Connections {
		next <- i
	}
	close(next)
	opening.Wait()
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d connections could not be established; the first: %w", len(failed), s.plan.Connections, failed[0])
	}
	s.wg.Go(s.watch)
	s.news.Go(s.openFresh)
	s.Window() // what opening took is nobody's stall
	return nil
}

// watch declares connections lost that make no progress.
func (s *Soak) watch() {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case now := <-tick.C:
			for _, c := range s.all() {
				if wait := c.waiting(now); wait > s.plan.Patience {
					s.lose(c, causeTimeout, fmt.Errorf("no progress for %v%s", wait.Round(time.Millisecond), s.explain(c)))
				}
			}
		}
	}
}

func (s *Soak) explain(c *session) string {
	c.mu.Lock()
	lost, ends := c.lost, len(c.ends)
	client := netip.AddrPort{}
	if ends > 0 {
		client, _ = netip.ParseAddrPort(c.ends[0].LocalAddr().String())
	}
	c.mu.Unlock()
	if lost || s.plan.Explain == nil || !client.IsValid() {
		return ""
	}
	return "\n" + s.plan.Explain(client, c.target)
}

// all lists the sessions in the order in which they were opened.
func (s *Soak) all() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*session, 0, len(s.sessions))
	for _, c := range s.sessions {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *session) int { return cmp.Compare(a.number, b.number) })
	return list
}

// Waiting is for how long the connection that waits longest has made no progress.
func (s *Soak) Waiting() time.Duration {
	now := time.Now()
	var longest time.Duration
	for _, c := range s.all() {
		longest = max(longest, c.waiting(now))
	}
	return longest
}

func (s *Soak) find(id uint64) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

// add registers a session under an id that only its own hello can name.
func (s *Soak) add(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.id = rand.Uint64()
	s.sessions[c.id] = c
}

// held is how many connections servers have that no session owns.
func (s *Soak) held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.taken)
}

// Close ends the soak: nobody speaks any more, all that is under way gets the
// plan's patience to arrive, then everything is closed. It returns the verdict.
func (s *Soak) Close() *Verdict {
	s.cease()
	deadline := time.Now().Add(s.plan.Patience)
	s.news.Wait()
	for _, c := range s.all() {
		for c.waiting(time.Now()) > 0 && !c.isLost() {
			if time.Now().After(deadline) {
				s.lose(c, causeTimeout, errors.New("its last bytes never arrived"))
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	// The servers hear of the last ends a moment later.
	for gone := time.Now().Add(time.Second); s.held() > 0 && time.Now().Before(gone); {
		time.Sleep(10 * time.Millisecond)
	}
	s.mu.Lock()
	s.closing = true
	for _, l := range s.listeners {
		l.Close()
	}
	s.orphans = len(s.taken)
	for conn := range s.taken {
		conn.Close()
	}
	s.mu.Unlock()
	for _, c := range s.all() {
		c.close()
	}
	s.wg.Wait()
	return s.verdict()
}
