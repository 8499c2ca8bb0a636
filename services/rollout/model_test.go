package rollout

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/services/api"
)

// machine is a node as far as the planner sees it.
type machine struct {
	ID      string
	Runs    string // version
	Other   string // of the slot that does not run
	Status  string // of that slot
	State   string // of its last upgrade
	Leaving bool   // it is told to leave
	Drained bool   // it has left
	Trial   bool   // what runs is on trial
	Down    bool
	Early   bool // its updated has just started, and does not know yet
	booted  time.Time
	taken   bool // the runner heard of its last call; its memory
}

// model is a cluster and a rollout of it, with what may still go wrong.
type model struct {
	Doc      Document
	Machines []machine
	Faults   int // left
	Orders   int // of the operator, left
	now      time.Time
	wrong    string
	trace    []string
}

const oldVersion, newVersion = "0.1.0", "0.2.0"

func newModel(nodes, faults, orders int) *model {
	m := &model{Doc: New(newVersion, 1, time.Unix(0, 0)), Faults: faults, Orders: orders, now: time.Unix(1000, 0)}
	for i := range nodes {
		m.Machines = append(m.Machines, machine{ID: fmt.Sprint("lb", i+1), Runs: oldVersion, Status: "empty", State: "idle"})
	}
	return m
}

func (m *model) clone() *model {
	c := *m
	c.Doc.Nodes = slices.Clone(m.Doc.Nodes)
	c.Machines = slices.Clone(m.Machines)
	c.trace = slices.Clip(m.trace)
	c.now = m.now.Add(time.Second)
	return &c
}

// key names a state: times only as far as they matter.
func (m *model) key() string {
	c := m.clone()
	c.Doc.Begun, c.Doc.Ended = time.Time{}, time.Time{}
	var since, taken []bool
	for i := range c.Doc.Nodes {
		n := &c.Doc.Nodes[i]
		if a := c.machine(n.ID); a != nil {
			since = append(since, n.Told.IsZero() || a.booted.After(n.Told))
		}
		n.Begun, n.Out, n.Ended, n.Since, n.Told, n.Now = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}, ""
	}
	for _, a := range c.Machines {
		taken = append(taken, a.taken)
	}
	c.Doc.Reason, c.Doc.Remedy = "", ""
	b, _ := json.Marshal(c)
	return fmt.Sprint(string(b), since, taken)
}

func (m *model) machine(id string) *machine {
	for i := range m.Machines {
		if m.Machines[i].ID == id {
			return &m.Machines[i]
		}
	}
	return nil
}

// facts is a look at all nodes.
func (m *model) facts(patient bool) (out []Fact) {
	for _, a := range m.Machines {
		f := Fact{ID: a.ID}
		if a.Down {
			f.Silent = "no answer"
			if !patient {
				f.SilentFor = 2 * silentLimit
			}
			out = append(out, f)
			continue
		}
		f.Version, f.Leaving, f.Drained, f.Up, f.Taken = a.Runs, a.Leaving, a.Drained, m.now.Sub(a.booted), a.taken
		if a.Leaving {
			f.Unwell = "it leaves"
		}
		f.Update = &api.UpdateStatus{Version: a.Runs, State: a.State, Slots: []*api.UpdateSlot{
			{Name: "a", Version: a.Runs, Status: "good", Running: true, Committed: !a.Trial}, {Name: "b", Version: a.Other, Status: a.Status}}}
		if a.Early {
			f.Update = &api.UpdateStatus{Version: a.Runs, State: "idle"}
		} else if a.Trial {
			f.Update.Trial = &api.UpdateTrial{}
		}
		out = append(out, f)
	}
	return out
}

// look is one round of the runner: what is saved, and, unless it dies between the
// two, what it does then. Heard: it lives to hear the answers.
func (m *model) look(patient, acts, heard bool) {
	if m.Doc.Idle() {
		return
	}
	before := m.Doc
	next, actions := Next(m.Doc, m.facts(patient), m.now)
	for i := range next.Nodes {
		if n := &next.Nodes[i]; i >= len(before.Nodes) || before.Nodes[i].Phase != n.Phase {
			if a := m.machine(n.ID); a != nil {
				a.taken = false
			}
		}
	}
	m.Doc = next
	for i := range m.Machines {
		m.Machines[i].Early = false
	}
	if !acts {
		actions = nil
	}
	for _, a := range actions {
		m.act(a, heard)
	}
	if !acts || !heard {
		for i := range m.Machines {
			m.Machines[i].taken = false
		}
	}
}

func (m *model) act(a Action, heard bool) {
	n := m.machine(a.Node)
	if n.Down {
		m.wrong = "a call to a node that is known not to answer"
		return
	}
	armed := n.State == "tried"
	switch a.Act {
	case Install:
		if armed {
			m.wrong = "an installation during a trial"
		}
		if n.Other != a.Version || n.Status != "bad" {
			n.Other, n.Status, n.State = a.Version, "untried", "written"
		}
		n.taken = heard
	case Drain:
		for _, o := range m.Machines {
			if o.ID != n.ID && (o.Leaving || o.Down) && !n.Leaving && !n.Trial && m.Faults == m.faults() {
				m.wrong = fmt.Sprintf("%s is drained while %s is not in service", n.ID, o.ID)
			}
		}
		if m.Doc.State == Stopped && !n.Trial {
			m.wrong = "a node is drained after a failure"
		}
		n.Leaving = true
	case Undrain:
		n.stay()
	case Try, RollBack:
		switch {
		case !n.Drained:
			m.wrong = n.ID + " is to restart and is not drained"
		case m.Doc.State == Stopped && !n.Trial:
			m.wrong = "a node is restarted after a failure"
		case n.Trial && a.Act == RollBack:
			n.back()
			return
		case armed:
			return // refused: not now
		case a.Act == RollBack && n.Status != "good":
			m.wrong = "there is nothing to go back to"
		}
		n.State, n.taken = "tried", heard
	}
}

// faults is how many there were at the begin: without any, no node may ever be
// drained while another is away.
func (m *model) faults() int {
	if len(m.trace) > 0 && strings.HasPrefix(m.trace[0], "faults ") {
		n := 0
		fmt.Sscanf(m.trace[0], "faults %d", &n)
		return n
	}
	return m.Faults
}

func (n *machine) stay() { n.Leaving, n.Drained = false, false }

func (n *machine) swap() { n.Runs, n.Other, n.Status = n.Other, n.Runs, "good" }

func (n *machine) back() {
	n.Trial, n.Down, n.State = false, true, "rolled back"
	n.swap()
	n.Status = "bad"
}

// boot ends a restart.
func (n *machine) boot(now time.Time) {
	n.stay()
	n.Down, n.Early, n.booted = false, true, now
	if n.State == "tried" && !n.Trial {
		n.swap()
		n.Trial = true
	}
}

// moves are what may happen next.
func (m *model) moves() (out []*model) {
	add := func(what string, do func(c *model)) {
		c := m.clone()
		c.trace = append(c.trace, what)
		do(c)
		out = append(out, c)
	}
	add("look", func(c *model) { c.look(true, true, true) })
	for i, a := range m.Machines {
		switch {
		case a.Down:
			add(a.ID+" boots", func(c *model) { c.Machines[i].boot(c.now) })
		case a.State == "tried" && !a.Trial:
			add(a.ID+" goes down", func(c *model) { c.Machines[i].Down = true })
		case a.Trial && !a.Leaving: // the gate wants it in service
			add(a.ID+" commits", func(c *model) { c.Machines[i].Trial, c.Machines[i].State = false, "committed" })
		}
		if a.Leaving && !a.Drained && !a.Down {
			add(a.ID+" is drained", func(c *model) { c.Machines[i].Drained = true })
		}
	}
	if m.Faults > 0 {
		fault := func(what string, do func(c *model)) {
			add("FAULT "+what, func(c *model) { c.Faults--; do(c) })
		}
		fault("the runner dies after saving", func(c *model) { c.look(true, false, false) })
		fault("the runner dies after acting", func(c *model) { c.look(true, true, false) })
		for i, a := range m.Machines {
			switch {
			case a.Down:
				fault(a.ID+" stays away", func(c *model) { c.look(false, true, true) })
			case a.Trial:
				fault(a.ID+" fails its trial", func(c *model) { c.Machines[i].back() })
			}
			if !a.Down {
				fault(a.ID+" loses power", func(c *model) { c.Machines[i].Down = true })
				fault(a.ID+": noded restarts", func(c *model) { c.Machines[i].stay() })
			}
		}
		if len(m.Machines) == 3 && m.machine("lb9") == nil && m.Doc.State == Running {
			fault("lb2 is removed", func(c *model) { c.Machines = slices.Delete(c.Machines, 1, 2) })
			fault("lb9 is added", func(c *model) {
				c.Machines = append(c.Machines, machine{ID: "lb9", Runs: oldVersion, Status: "empty", State: "idle"})
			})
		}
	}
	if m.Orders > 0 {
		order := func(what string, do func(c *model)) {
			add("OPERATOR "+what, func(c *model) { c.Orders--; do(c) })
		}
		if m.Doc.State == Running {
			order("pauses", func(c *model) { _ = c.Doc.Pause() })
		}
		if m.Doc.State == Paused || m.Doc.State == Stopped {
			order("resumes", func(c *model) { _ = c.Doc.Resume(c.now) })
		}
		order("rolls back", func(c *model) { c.Doc.RollBack(c.now) })
	}
	return out
}

// settle lets all be well from here on: everybody who can come back does, the
// runner goes on, and in the end no node is out of service.
func (m *model) settle() string {
	c := m.clone()
	for range 120 {
		for i := range c.Machines {
			n := &c.Machines[i]
			c.now = c.now.Add(time.Second)
			switch {
			case n.Down:
				n.boot(c.now)
			case n.State == "tried" && !n.Trial:
				n.Down = true
			case n.Trial && !n.Leaving:
				n.Trial, n.State = false, "committed"
			}
			n.Drained = n.Leaving
		}
		c.now = c.now.Add(time.Second)
		c.look(true, true, true)
		if c.wrong != "" {
			return c.wrong
		}
	}
	for _, n := range c.Machines {
		if n.Leaving {
			return n.ID + " is left drained"
		}
	}
	if !c.Doc.Idle() {
		b, _ := c.Doc.Encode()
		return fmt.Sprintf("it never ends: %s\n%+v", b, c.Machines)
	}
	for _, n := range c.Doc.Nodes {
		if a := c.machine(n.ID); a != nil && c.Doc.State == Done && a.Runs != c.Doc.Goal(&n) {
			return fmt.Sprintf("it is done, and %s runs %s", a.ID, a.Runs)
		}
	}
	if c.Doc.State == Running || c.Doc.State == Stopped && c.Doc.Reason == "" {
		return fmt.Sprintf("it is %s for no reason", c.Doc.State)
	}
	return ""
}

func explore(t *testing.T, nodes, faults, orders int) {
	first := newModel(nodes, faults, orders)
	first.trace = []string{fmt.Sprintf("faults %d", faults)}
	seen, todo := map[string]bool{first.key(): true}, []*model{first}
	done := 0
	for ; len(todo) > 0; todo = todo[1:] {
		m := todo[0]
		if m.wrong == "" {
			m.wrong = m.settle()
		}
		if m.wrong != "" {
			b, _ := m.Doc.Encode()
			t.Fatalf("%s, after\n  %s\n%s\n%+v", m.wrong, strings.Join(m.trace, "\n  "), b, m.Machines)
		}
		if m.Doc.State == Done {
			done++
		}
		for _, c := range m.moves() {
			if k := c.key(); !seen[k] {
				seen[k] = true
				todo = append(todo, c)
			}
		}
	}
	t.Logf("%d states, %d of them done", len(seen), done)
	if done == 0 {
		t.Error("it never succeeds")
	}
}

func TestWhateverHappensNoConnectionAndNoNodeIsForgotten(t *testing.T) {
	for _, c := range []struct{ nodes, faults, orders int }{{3, 0, 0}, {3, 0, 2}, {2, 2, 1}, {3, 2, 0}, {3, 1, 1}, {2, 3, 2}, {3, 2, 1}} {
		t.Run(fmt.Sprintf("%d nodes, %d faults, %d orders", c.nodes, c.faults, c.orders), func(t *testing.T) { explore(t, c.nodes, c.faults, c.orders) })
	}
}
