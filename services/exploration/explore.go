package exploration

import (
	"fmt"
	"strings"
)

// Report is what an exploration saw.
type Report struct {
	Runs   int    // executions from the start
	States int    // different states
	Steps  uint64 // in all runs, replayed ones included
}

func (r Report) String() string {
	return fmt.Sprintf("%d runs, %d states, %d steps", r.Runs, r.States, r.Steps)
}

// Failure is a run that breaks a rule.
type Failure struct {
	Scenario string
	What     string
	Choices  []int // replay it
	Trace    string
}

func (f *Failure) Error() string {
	return fmt.Sprintf("scenario %q, choices %v: %s\n%s", f.Scenario, f.Choices, f.What, f.Trace)
}

// Bounds of one run. Whatever three faults do is repaired long before.
const (
	maxSteps = 4000
	maxTime  = 200e9
	restTime = 5e8 // after the client has all it wanted
)

// explorer is one exploration under way.
type explorer struct {
	scenario Scenario
	bounds   Bounds
	configs  *configs
	pool     *pool
	seen     map[uint64]visit // by state
	report   Report
}

// visit is when a state was met: in which run, with how many faults left.
type visit struct{ run, left int }

// Bounds say which faults there are.
type Bounds struct {
	Faults  int // in one run, all kinds together
	Crashes int // of them at most: nodes that die
	Changes int // of them at most: nodes that join the ring or leave it
}

// Explore runs a scenario with every combination of faults within the bounds. The
// error is a *Failure when a run breaks a rule.
func Explore(s Scenario, b Bounds) (Report, error) {
	e := &explorer{scenario: s, bounds: b, configs: newConfigs(), pool: newPool(), seen: map[uint64]visit{}}
	var choices, widths []int
	for {
		e.report.Runs++
		f, err := e.run(&choices, &widths, nil)
		if err != nil {
			return e.report, err
		}
		e.report.States = len(e.seen)
		if f != "" {
			return e.report, e.explain(choices, f)
		}
		last := len(choices) - 1
		for last >= 0 && choices[last]+1 >= widths[last] {
			last--
		}
		if last < 0 {
			return e.report, nil
		}
		choices, widths = choices[:last+1], widths[:last+1]
		choices[last]++
	}
}

// explain runs a failure once more and tells its story.
func (e *explorer) explain(choices []int, what string) *Failure {
	var b strings.Builder
	again, widths := append([]int(nil), choices...), make([]int, len(choices))
	e.seen = map[uint64]visit{}
	found, err := e.run(&again, &widths, &b)
	if err != nil {
		found = err.Error()
	}
	if found != what && what != "" {
		found = fmt.Sprintf("%s (and when run again: %q)", what, found)
	}
	for len(choices) > 0 && choices[len(choices)-1] == 0 {
		choices = choices[:len(choices)-1]
	}
	return &Failure{Scenario: e.scenario.Name, What: found, Choices: choices, Trace: b.String()}
}

// run executes one run: the given choices first, then no faults. It adds the
// choices that it made, and how many there were at each. It returns what is
// wrong, if anything.
func (e *explorer) run(choices, widths *[]int, story *strings.Builder) (string, error) {
	w, err := newWorld(e.scenario, e.bounds, e.configs, e.pool)
	if err != nil {
		return "", err
	}
	defer w.close()
	left, end := e.bounds.Faults, never
	var list []option
	given := len(*choices)
	for step, point := 0, 0; ; step++ {
		e.report.Steps++
		if w.violation != "" {
			return w.violation, nil
		}
		if end == never && w.client.state == done {
			end = w.now + restTime
		}
		_, next := w.next()
		if i, _ := w.head(); i < 0 && next > end {
			return w.final(), nil
		}
		if w.client.state == wasReset {
			return "the client's connection was reset", nil
		}
		if step > maxSteps || w.now-start > maxTime {
			return fmt.Sprintf("not at its end after %d steps and %.1f s; the client got %q", step, float64(w.now-start)/1e9, w.client.got), nil
		}
		o := option{}
		fresh := point >= given
		if fresh && story == nil {
			h := w.hash()
			if v := e.seen[h]; v.run == e.report.Runs && v.left == left {
				return "the same state comes again and again", nil
			} else if v.left >= left && v.run > 0 {
				return "", nil
			}
			e.seen[h] = visit{e.report.Runs, left}
		}
		if left > 0 && end == never {
			list = w.options(list)
			if fresh {
				*choices, *widths = append(*choices, 0), append(*widths, len(list))
			} else {
				(*widths)[point] = len(list)
				o = list[(*choices)[point]]
			}
			point++
		}
		if o.act != goOn {
			left--
		}
		if story != nil {
			story.WriteString(w.describe(o) + "\n")
		}
		w.apply(o)
	}
}

// final looks at a run that came to its end: the client has everything, and the
// flow's trackers in the present ring both hold its mapping (S-72).
func (w *world) final() string {
	if string(w.client.got) != string(w.client.expected(rounds)) {
		return fmt.Sprintf("the client got %q", w.client.got)
	}
	k := key
	for _, n := range w.nodes {
		if n.dead {
			continue
		}
		t := n.worker.Trace(&k)
		if number := uint16(n.number); (t.Primary == number || t.Secondary == number) && !t.Tracked {
			return fmt.Sprintf("node %d tracks the flow and does not hold its mapping", n.number)
		}
	}
	return ""
}
