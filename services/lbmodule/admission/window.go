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

// fit is a least-squares line through (accepted connections, amount used) of
// recent intervals; its slope is the cost of a connection, whatever else the
// server does.
type fit struct{ n, x, y, xx, xy float64 }

// decay forgets an interval's weight to a third within 50 intervals.
const decay = 0.98

func (f *fit) add(x, y float64) {
	f.n = f.n*decay + 1
	f.x = f.x*decay + x
	f.y = f.y*decay + y
	f.xx = f.xx*decay + x*x
	f.xy = f.xy*decay + x*y
}

func (f *fit) slope() float64 {
	d := f.n*f.xx - f.x*f.x
	if d < 1 {
		return 0 // the number of connections hardly varied: nothing to learn from
	}
	return (f.n*f.xy - f.x*f.y) / d
}
