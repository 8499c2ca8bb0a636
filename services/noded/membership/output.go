package membership

import "fmt"

// Output is how a Core acts. It is called from within the Core's methods and
// must not call back.
type Output interface {
	// Ping sends a request (wire.MsgPing) to a node on a side (wire.PingNorth
	// or wire.PingSouth), to be answered by the worker that worker names modulo
	// their number. The node may be this one: then anything is a pong that shows
	// that our own way to a router works, such as its answer to an ICMP echo.
	Ping(node uint16, side uint8, nonce uint64, worker uint8)
	// Gossip sends d to a node (UDP 6085). The caller writes and seals the
	// header over its first wire.HeaderSize bytes. d is valid during the call.
	Gossip(node uint16, d []byte)
	// CheckServer begins a check of a server; its end is ServerResult.
	CheckServer(server uint16)
	// PushNodes sends the list of nodes to a server's module.
	PushNodes(server uint16)
	// Flush makes the dataplane forget all flows and start a new life.
	Flush()
	// Event reports what is worth a line in the log.
	Event(e Event)
}

// Kind is what an Event is about.
type Kind uint8

// Kinds of events.
const (
	Healthy    Kind = iota + 1 // a node is healthy
	Suspected                  // its heartbeats stand still
	Expired                    // … for too long: unhealthy
	Died                       // neighbours found it dead
	Refuted                    // a death was refuted
	Restarted                  // its dataplane has a new boot id, and no state
	SelfDied                   // others held this node for dead
	Stood                      // this node stood still and rejoins as new
	Late                       // own loop was late; an interval is discarded
	Isolated                   // nobody can be seen, or others hold this node for dead
	Connected                  // that is over, or nobody else is there
	Flags                      // own flags changed
	ServerUp                   // a server gets offers
	ServerDown                 // a server gets none
	ServerDead                 // … and its connections are reset
)

var kindNames = [...]string{Healthy: "healthy", Suspected: "suspect", Expired: "unhealthy", Died: "dead",
	Refuted: "death refuted", Restarted: "restarted", SelfDied: "held for dead by others", Stood: "stood still",
	Late: "late", Isolated: "isolated", Connected: "connected", Flags: "flags", ServerUp: "server up",
	ServerDown: "server down", ServerDead: "server dead"}

func (k Kind) String() string { return kindNames[k] }

// Event is something worth a line in the log.
type Event struct {
	Kind   Kind
	Number uint16 // of the node or server
	By     uint16 // who found out
	Boot   uint64 // of the node's dataplane
	Detail string
}

func (e Event) String() string {
	s := fmt.Sprintf("%s: %d", e.Kind, e.Number)
	if e.By != 0 {
		s += fmt.Sprintf(" by %d", e.By)
	}
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	return s
}
