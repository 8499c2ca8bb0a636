package lbnode

import "weir/dataplane/flow"

// TraceResult is what one worker knows of a flow.
type TraceResult struct {
	Ingress            bool // a mapping at ingress
	Tracked            bool // a committed mapping at a tracker
	IsPrimary          bool
	HalfOpen           bool
	Server             uint16
	ClientISN          uint32
	ServerISN          uint32
	Primary, Secondary uint16 // by this node's ring; NoNode if there is none
}

// Trace looks a flow up in all tables. It may be called from the worker's own
// core only.
func (w *Worker) Trace(k *flow.Key) TraceResult {
	var t TraceResult
	hash := w.hash(k)
	t.Primary, t.Secondary = w.view.ring.Trackers(k)
	_, t.HalfOpen = w.half.Lookup(k, hash)
	if e := w.trackedEntry(k, hash); e != nil {
		t.Tracked, t.IsPrimary = true, e.Flags&flagPrimary != 0
		t.Server, t.ClientISN, t.ServerISN = e.Server, e.ClientISN, e.ServerISN
	}
	if i, ok := w.mapped.Lookup(k, hash); ok {
		e := w.mapped.Entry(i)
		t.Ingress, t.Server, t.ClientISN, t.ServerISN = true, e.Server, e.ClientISN, e.ServerISN
	}
	return t
}
