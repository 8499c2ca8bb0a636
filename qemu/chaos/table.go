package chaos

import (
	"fmt"
	"io"
	"time"

	"weir/qemu/soak"
)

// table prints rows as they come.
type table struct {
	out   io.Writer
	began time.Time
}

const format = "%7s  %-44s %10s %10s %9s %9s %9s %6s %6s  %s\n"

func newTable(out io.Writer) *table {
	fmt.Fprintf(out, format, "AT", "EVENT", "WITHDRAWN", "WHOLE", "STALL", "MEDIAN", "NEW CONN", "FAILED", "LOST", "LONGEST STALL OF")
	return &table{out: out, began: time.Now()}
}

func (t *table) row(began time.Time, name string, took map[string]time.Duration, w soak.Window) {
	cell := func(what string) string {
		d, expected := took[what]
		switch {
		case !expected:
			return ""
		case d < 0:
			return "never"
		}
		return millis(d)
	}
	fmt.Fprintf(t.out, format, fmt.Sprintf("%.1fs", began.Sub(t.began).Seconds()), name, cell("withdrawn"), cell("whole"),
		millis(w.Longest), millis(w.Median), millis(w.Fresh), fmt.Sprint(w.FreshFailed), fmt.Sprint(w.Lost), w.Worst)
}

func (t *table) end(v *soak.Verdict) {
	fmt.Fprintf(t.out, "\n%d of %d connections lost, %.0f MB verified; %d of %d new connections failed\n",
		len(v.Lost), v.Held, float64(v.Bytes)/1e6, len(v.FreshFailed), v.Fresh)
	for _, l := range v.Lost {
		fmt.Fprintf(t.out, "lost: %v\n", l)
	}
	for _, err := range v.FreshFailed {
		fmt.Fprintf(t.out, "failed: %v\n", err)
	}
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}
