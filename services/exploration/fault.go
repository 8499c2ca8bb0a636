package exploration

import "fmt"

// act is what may happen next.
type act uint8

const (
	goOn       act = iota // the oldest datagram arrives; if none can, the next timer fires
	lose                  // it is lost
	double                // it arrives, and again behind all others
	doubleLate            // it arrives, and again after the next timer
	overtake              // all others arrive before it
	delay                 // it arrives after the next timer
	early                 // the next timer fires before it arrives
	hurry                 // the client's timer fires now
	crash                 // a node dies
	change                // a node joins the ring or leaves it
)

var actNames = [...]string{goOn: "", lose: "LOST: ", double: "DOUBLED: ", doubleLate: "DOUBLED, LATE: ", overtake: "OVERTAKEN: ", delay: "DELAYED: ",
	early: "TIMER FIRST", hurry: "THE CLIENT'S TIMER FIRST", crash: "DEAD: node ", change: "JOINS OR LEAVES THE RING: node "}

// option is an act, and the node that it is about.
type option struct {
	act  act
	node int
}

// head is the index of the datagram that arrives next, or -1.
func (w *world) head() (at int, more bool) {
	at = -1
	for i, d := range w.flight {
		if d.late > 0 {
			continue
		}
		if at >= 0 {
			return at, true
		}
		at = i
	}
	return at, false
}

// options lists what may happen now; the first is no fault.
func (w *world) options(list []option) []option {
	list = append(list[:0], option{})
	i, more := w.head()
	if i >= 0 {
		if d := w.flight[i]; d.frame != nil {
			list = append(list, option{act: lose})
			if !d.again {
				list = append(list, option{act: double}, option{act: doubleLate})
			}
		}
		if more {
			list = append(list, option{act: overtake})
		}
		list = append(list, option{act: delay})
	}
	first, at := w.next()
	if i >= 0 && at < never {
		list = append(list, option{act: early})
	}
	if w.client.due < never && (first != theClient || i >= 0 && w.client.due > at) {
		list = append(list, option{act: hurry})
	}
	if w.crashes > 0 {
		for n := range w.nodes {
			list = append(list, option{crash, n})
		}
	}
	if w.changes > 0 {
		for n, node := range w.nodes {
			on := w.members.has(w.members.trackers, n)
			if !node.dead && on != w.scenario.Joining {
				list = append(list, option{change, n})
			}
		}
	}
	return list
}

// apply lets an option happen.
func (w *world) apply(o option) {
	switch o.act {
	case early:
		w.tick()
		return
	case hurry:
		w.now = max(w.now, w.client.due)
		w.fire(theClient)
		return
	case crash:
		w.crash(o.node)
		return
	case change:
		w.toggle(o.node)
		return
	}
	i, _ := w.head()
	if i < 0 {
		w.tick()
		return
	}
	d := w.flight[i]
	w.flight = append(w.flight[:i:i], w.flight[i+1:]...)
	switch o.act {
	case goOn:
		w.deliver(d)
	case double, doubleLate:
		second := *d
		second.again = true
		if o.act == doubleLate {
			second.late = 1
		}
		w.flight = append(w.flight, &second)
		w.deliver(d)
	case overtake:
		w.flight = append(w.flight, d)
	case delay:
		d.late = 1
		w.flight = append(w.flight, d)
	}
}

// describe says in words what an option means now.
func (w *world) describe(o option) string {
	at := fmt.Sprintf("%8.3f ms  ", float64(w.now-start)/1e6)
	i, _ := w.head()
	switch o.act {
	case crash, change:
		return at + actNames[o.act] + fmt.Sprint(o.node)
	case early, hurry:
		return at + actNames[o.act]
	}
	if i < 0 {
		p, due := w.next()
		return at + fmt.Sprintf("timer of %s at %.3f ms", p, float64(due-start)/1e6)
	}
	return at + actNames[o.act] + w.flight[i].name() + " to " + w.flight[i].to.String()
}

func (p part) String() string {
	switch {
	case p.isNode():
		return fmt.Sprint("node ", int(p))
	case p.isServer():
		return fmt.Sprint("server ", int(p-firstServer))
	case p == theClient:
		return "the client"
	}
	return "the detector"
}
