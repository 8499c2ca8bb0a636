package rollout

import (
	"fmt"
	"slices"
	"strings"

	"weir/services/api"
)

// unwell is why no node may leave now. Nodes that are under way are out of
// service anyway: there may be several of them, see may.
func (r *round) unwell() (why, id string) {
	for i := range r.Nodes {
		n := &r.Nodes[i]
		f := r.facts[n.ID]
		switch {
		case f == nil || n.UnderWay():
		case f.Silent != "":
			return "it does not answer: " + f.Silent, n.ID
		case f.Unwell != "":
			return f.Unwell, n.ID
		case f.Begins():
			return "its updated does not tell which version it keeps", n.ID
		case f.armed():
			return "a version is on trial there", n.ID
		}
	}
	return "", ""
}

// begun are the nodes that are being worked at.
func (r *round) begun() (list []*Node) {
	for i := range r.Nodes {
		if n := &r.Nodes[i]; n.UnderWay() || n.Phase == Installing {
			list = append(list, n)
		}
	}
	return list
}

// may reports whether a node may be begun beside others: those are of its own
// failure domain, and there is room.
func (r *round) may(n *Node, beside []*Node) bool {
	domain := r.facts[n.ID].Domain
	same := func(o *Node) bool { return domain != "" && r.facts[o.ID] != nil && r.facts[o.ID].Domain == domain }
	return len(beside) == 0 || len(beside) < r.AtOnce && !slices.ContainsFunc(beside, func(o *Node) bool { return !same(o) })
}

// begin takes the next nodes.
func (r *round) begin() {
	for i := range r.Nodes {
		n := &r.Nodes[i]
		f := r.facts[n.ID]
		if r.State != Running || f == nil || n.Phase != Waiting {
			continue
		}
		if !r.may(n, r.begun()) {
			continue
		}
		if len(r.facts) == 1 {
			r.fail(n, "upgrade it by itself: weirctl node upgrade "+n.ID, "no other node is there to take its connections over")
			return
		}
		if why, id := r.unwell(); why != "" {
			n.Now = "waits for " + id + ": " + why
			if o := r.facts[id]; o.UnwellFor > unwellLimit || o.SilentFor > unwellLimit || o.StuckFor > stuckLimit {
				r.stop("node "+id+" is not in full service: "+why, "mend it, or take it out of the cluster file; then: weirctl upgrade resume")
			}
			continue
		}
		n.enter(Installing, r.now)
		n.Begun = r.now
		r.installing(n, f)
	}
}

// end notes that nothing is left to do.
func (r *round) end() {
	if r.State != Running || slices.ContainsFunc(r.Nodes, func(n Node) bool { return n.Phase != Finished && n.Phase != Gone || n.Owes && n.Phase != Gone }) {
		return
	}
	r.State, r.Ended = Done, r.now
}

// progress says how far a job is.
func progress(p *api.UpdateProgress) string {
	text := p.Phase
	if p.Size > 0 {
		text += fmt.Sprintf(" %.0f of %.0f MB", float64(p.Bytes)/1e6, float64(p.Size)/1e6)
	}
	if p.Error != "" {
		text += ": " + p.Error
	}
	return text
}

func waits(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return ", and waits: " + strings.Join(list, "; ")
}
