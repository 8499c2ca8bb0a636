package exploration

import (
	"bytes"

	"weir/dataplane/wire"
	"weir/services/lbmodule/agent"
)

// checkEstablished looks at the moment from which a server's bytes may reach
// the client: both trackers hold the mapping (S-18), and no other server has
// the connection.
func (w *world) checkEstablished(s *server) {
	f := s.flow
	for _, o := range w.servers {
		if o != s && o.flow != nil && o.flow.State == agent.Established && o.flow.ClientISN == f.ClientISN && o.flow.ServerISN == f.ServerISN {
			w.violate("servers %d and %d both have the connection", o.number, s.number)
		}
	}
	holders := 0
	for _, n := range w.nodes {
		if n.dead {
			continue
		}
		k := key
		if t := n.worker.Trace(&k); t.Tracked && t.Server == uint16(s.number) && t.ClientISN == f.ClientISN && t.ServerISN == f.ServerISN {
			holders++
		}
	}
	want := 2
	if w.shaken {
		want = 1 // of two that held it, one may be dead
	}
	if holders < want {
		w.violate("server %d may speak, but %d trackers hold its mapping", s.number, holders)
	}
}

// served looks at what a server's application has got.
func (w *world) served(s *server, in []byte) {
	var all []byte
	for i := range rounds {
		all = append(all, request(i)...)
	}
	if !bytes.HasPrefix(all, in) {
		w.violate("server %d got %q", s.number, in)
	}
	for _, o := range w.servers {
		if o != s && len(o.kernel.in) > 0 {
			w.violate("both servers got the client's bytes")
		}
	}
}

// checkOffer looks at a message to a module: no server is asked that would not
// be asked without faults (S-33).
func (w *world) checkOffer(s *server, d []byte) {
	const offer = 111 // where its number stands in a tracker message
	last := uint8(0)
	if w.scenario.RejectFirst {
		last = 1
	}
	if d[1] == wire.MsgOffer && d[offer] > last {
		w.violate("server %d gets offer %d", s.number, d[offer])
	}
}
