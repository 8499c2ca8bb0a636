package hashring

import (
	"math"

	"weir/dataplane/flow"
)

// Candidate is a server that may be offered a connection.
type Candidate struct {
	Number uint16
	Weight uint32 // relative capacity; 0 is never chosen while another is left
	Seed   uint64
}

// Rank returns the candidate at place n of the keyed, weighted order of this
// incarnation (S-18): two trackers that verified the same ACK choose alike. The
// order wraps: place n of c candidates is place n modulo c. ok is false without
// candidates. Work is proportional to (n mod c + 1) times c; scores is scratch
// of at least len(c), so that nothing is allocated.
func Rank(k *flow.Key, clientISN, serverISN uint32, seed flow.Seed, c []Candidate, n int, scores []float64) (number uint16, ok bool) {
	if len(c) == 0 {
		return None, false
	}
	h := flow.Mix(flow.Hash(k, seed), uint64(clientISN)<<32|uint64(serverISN))
	scores = scores[:len(c)]
	for i := range c {
		scores[i] = score(flow.Mix(h, c[i].Seed), c[i].Weight)
	}
	best := 0
	for place := n % len(c); ; place-- {
		best = 0
		for i := range scores {
			if scores[i] > scores[best] {
				best = i
			}
		}
		if place == 0 {
			return c[best].Number, true
		}
		scores[best] = math.Inf(-1)
	}
}

// score makes the chance of being highest proportional to the weight:
// -w/ln(u) with u uniform in (0,1) (weighted rendezvous hashing, Schindelhauer
// and Schomaker 2005).
func score(h uint64, weight uint32) float64 {
	u := (float64(h>>11) + 0.5) / (1 << 53)
	return -float64(weight) / math.Log(u)
}
