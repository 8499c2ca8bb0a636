package logs

// ring has the newest lines, as many as fit. Lines are numbered from 0 on.
type ring struct {
	limit int // bytes
	size  int // bytes
	first int // number of lines[0]
	lines []Line
}

// lineCost is counted for a line beside its text.
const lineCost = 32

func newRing(limit int) ring { return ring{limit: limit} }

func (r *ring) add(l Line) {
	r.lines = append(r.lines, l)
	r.size += len(l.Text) + lineCost
	drop := 0
	for r.size > r.limit && drop < len(r.lines)-1 {
		r.size -= len(r.lines[drop].Text) + lineCost
		r.lines[drop] = Line{}
		drop++
	}
	r.first += drop
	r.lines = r.lines[drop:]
}

// end is the number that the next line gets.
func (r *ring) end() int { return r.first + len(r.lines) }

// from copies at most n lines beginning with number next, and says how many of
// those before were dropped already.
func (r *ring) from(next, n int) (lines []Line, lost int) {
	if next < r.first {
		lost = r.first - next
		next = r.first
	}
	at := min(next-r.first, len(r.lines))
	return append(lines, r.lines[at:min(at+n, len(r.lines))]...), lost
}
