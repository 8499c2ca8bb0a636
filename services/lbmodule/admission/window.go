package admission

// window is over how long a rate is averaged, in ns: long against a scheduling
// period of the kernel (100 ms), short against what a client notices.
const window = 1e9

// Rate turns a growing counter (CPU time, bytes) into a utilisation, and learns
// what one accepted connection costs.
type Rate struct {
	points []point // at most one window, and the one just before
	fit    fit
}

type point struct {
	at    int64
	total float64
}

// Add takes the counter's value, the capacity in units per second, and the
// number of connections accepted since the last call. It returns the
// utilisation over the window, and the part of it that one connection adds.
// The first call, or a counter that fell, gives zero.
func (r *Rate) Add(now int64, total, capacity float64, accepted int) (utilization, cost float64) {
	if n := len(r.points); n > 0 {
		last := r.points[n-1]
		if total < last.total || now <= last.at {
			r.points = r.points[:0]
		} else {
			r.fit.add(float64(accepted), total-last.total)
		}
	}
	r.points = append(r.points, point{now, total})
	for len(r.points) > 2 && r.points[1].at <= now-window {
		r.points = append(r.points[:0], r.points[1:]...)
	}
	first := r.points[0]
	if first.at == now || capacity <= 0 {
		return 0, 0
	}
	span := float64(now-first.at) / 1e9 * capacity
	return (total - first.total) / span, max(r.fit.slope(), 0) / span
}

// fit learns the cost of a connection: how much more is used in an interval
// that accepted more than the one before it (least squares over both
// differences). Whatever else the server does, and when it began to, does not
// count: other load that starts or stops together with connections is one
// difference among many.
type fit struct {
	x, y   float64 // of the last interval
	begun  bool
	xx, xy float64 // of the differences
}

// decay forgets an interval's weight to a third within 50 intervals.
const decay = 0.98

func (f *fit) add(x, y float64) {
	if f.begun {
		dx, dy := x-f.x, y-f.y
		f.xx = f.xx*decay + dx*dx
		f.xy = f.xy*decay + dx*dy
	}
	f.x, f.y, f.begun = x, y, true
}

func (f *fit) slope() float64 {
	if f.xx < 1 {
		return 0 // the number of connections hardly varied: nothing to learn from
	}
	return f.xy / f.xx
}
