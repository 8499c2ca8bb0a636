package simulation

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Plan is what one connection is to do. Both directions carry at least one byte.
type Plan struct {
	Client, VIP netip.AddrPort
	Up, Down    int           // bytes each way, the server's greeting not counted
	ServerFirst bool          // the client waits for the greeting before it says a word
	ServerEnds  bool          // the server closes first; otherwise the client
	ServerShuts bool          // the server says all it has at once and closes its direction; the client goes on
	Idle        time.Duration // pause of the client between the first half of Up and the rest
	MayFail     bool          // a failure is an outcome, not a violation
	Then        func(*Flow)   // called when it is done or has failed
}

// greetingSize is what the server says first of all: a mark, its number, and
// the incarnation as it sees it.
const greetingSize = 16

const greetingMark = 0x57656972 // "Weir"

// Flow is one connection of the workload and what has been seen of it. Both
// its ends look at the same Flow: that is how they check each other.
type Flow struct {
	Plan
	ID     int
	Server int // number of the server whose bytes the client got, or which got the client's; -1: none yet
	Began  time.Duration
	Ended  time.Duration
	Done   bool  // everything arrived, both ways
	Err    error // why it failed

	accepted []int // servers that accepted it, in order
	load     *Workload
	client   *conn
}

func (f *Flow) String() string { return fmt.Sprintf("flow %d (%s > %s)", f.ID, f.Client, f.VIP) }

func (f *Flow) up() stream { return stream(f.load.sim.Seed ^ uint64(f.ID)<<20 ^ 0x55) }

func (f *Flow) down(server int) stream {
	return stream(f.load.sim.Seed ^ uint64(f.ID)<<20 ^ uint64(server)<<8 ^ 0xaa)
}

func (f *Flow) greeting(server int) []byte {
	b := make([]byte, greetingSize)
	binary.BigEndian.PutUint32(b, greetingMark)
	binary.BigEndian.PutUint32(b[4:], uint32(server))
	binary.BigEndian.PutUint64(b[8:], uint64(f.ID))
	return b
}

// bind notes that bytes of the flow passed between the client and a server.
// One incarnation never has two servers (S-18).
func (f *Flow) bind(server int) {
	if f.Server < 0 {
		f.Server = server
	} else if f.Server != server {
		f.load.sim.Violate("%v has two servers, %d and %d", f, f.Server, server)
	}
}

func (f *Flow) fail(err error) {
	if f.Done || f.Err != nil {
		return
	}
	f.Err = err
	if !f.MayFail && !f.load.excused(f) {
		f.load.sim.Violate("%v lost: %v", f, err)
	}
	f.end()
}

func (f *Flow) finish() {
	if f.Done || f.Err != nil {
		return
	}
	f.Done = true
	f.end()
}

func (f *Flow) end() {
	f.Ended = f.load.sim.Elapsed()
	f.load.open--
	if f.Then != nil {
		f.Then(f)
	}
}

// errAborted ends a connection whose client gave up.
var errAborted = errors.New("aborted by the client")

// Abort makes the client's end vanish with a RST. The plan must allow that the
// connection fails.
func (f *Flow) Abort() {
	f.client.closed = true
	f.client.ep.Abort()
	f.client.host.rest()
	f.fail(errAborted)
}

// Workload is all the connections of a run and both kinds of hosts.
type Workload struct {
	Flows []*Flow

	sim  *Sim
	live map[Tuple]*Flow // the newest of each tuple
	// Excuse, if set, says that a connection could not live on.
	Excuse func(*Flow) bool
	mixed  map[Tuple]bool // carries segments of more than one connection
	open   int            // not yet done or failed
}

// NewWorkload makes an empty workload.
func NewWorkload(sim *Sim) *Workload {
	return &Workload{sim: sim, live: map[Tuple]*Flow{}, mixed: map[Tuple]bool{}}
}

func (w *Workload) excused(f *Flow) bool { return w.Excuse != nil && w.Excuse(f) }

// Finished reports whether every connection is done or failed.
func (w *Workload) Finished() bool { return w.open == 0 }

// Start opens a connection from host after the given time.
func (w *Workload) Start(host *Host, after time.Duration, plan Plan) *Flow {
	f := &Flow{Plan: plan, ID: len(w.Flows), Server: -1, load: w}
	w.Flows = append(w.Flows, f)
	w.open++
	w.sim.After(after, func() {
		t := Tuple{plan.Client, plan.VIP}
		if w.live[t] != nil {
			w.mixed[t] = true
		}
		w.live[t] = f
		f.Began = w.sim.Elapsed()
		f.client = newClient(host, f)
		host.rest()
	})
	return f
}

// StartAfter opens a connection on the tuple of an ended one as soon as the
// client's stack has let go of it.
func (w *Workload) StartAfter(host *Host, old *Flow, plan Plan) {
	w.open++ // the workload is not finished in between
	var try func()
	try = func() {
		switch tcp.EndpointState(old.client.ep.State()) {
		case tcp.StateClose, tcp.StateError:
			w.open--
			w.Start(host, 0, plan)
		default:
			w.sim.After(time.Second, try)
		}
	}
	w.sim.After(time.Second, try)
}

// Unfinished describes the first connections that are neither done nor failed.
func (w *Workload) Unfinished() string {
	var b strings.Builder
	shown := 0
	for _, f := range w.Flows {
		if f.Done || f.Err != nil {
			continue
		}
		if shown++; shown > 10 {
			fmt.Fprintf(&b, "and %d in all\n", w.open)
			break
		}
		if f.client == nil {
			fmt.Fprintf(&b, "%v has not begun\n", f)
			continue
		}
		fmt.Fprintf(&b, "%v began at %v, server %d, accepted by %v, server first %v", f, f.Began, f.Server, f.accepted, f.ServerFirst)
		c := f.client
		fmt.Fprintf(&b, ", client is %v, wrote %d of %d, read %d of %d\n",
			tcp.EndpointState(c.ep.State()), c.written, f.Up, c.read, greetingSize+f.Down)
	}
	return b.String()
}
