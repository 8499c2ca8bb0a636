package admission

// Saturation tells that a group used up its quota, by the kernel's own word. A
// rate cannot: a throttled group runs in one burst per scheduling period, and a
// window that begins and ends beside bursts sees a period's worth more or less,
// a tenth of a second's use.
type Saturation struct {
	points []quotaPoint // at most one window, and the one just before
}

type quotaPoint struct {
	at                 int64
	periods, throttled float64
}

// How long a group must be throttled in every period, in ns, and how many
// periods that must be.
const (
	saturationWindow  = 2e9
	saturationPeriods = 10
)

// Add takes the number of scheduling periods so far and in how many of them the
// group was throttled. It reports whether it was in all of the window. One
// period may lack, because the two are counted at different times of a period.
func (s *Saturation) Add(now int64, periods, throttled float64) bool {
	if n := len(s.points); n > 0 && (periods < s.points[n-1].periods || throttled < s.points[n-1].throttled) {
		s.points = s.points[:0] // another group
	}
	s.points = append(s.points, quotaPoint{now, periods, throttled})
	for len(s.points) > 2 && s.points[1].at <= now-saturationWindow {
		s.points = append(s.points[:0], s.points[1:]...)
	}
	first := s.points[0]
	passed := periods - first.periods
	return passed >= saturationPeriods && throttled-first.throttled >= passed-1
}
