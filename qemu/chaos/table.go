package chaos

import (
	"fmt"
	"io"
	"slices"
	"time"

	"weir/qemu/soak"
)

// table prints rows as they come.
type table struct {
	out   io.Writer
	began time.Time
}

const format = "%7s  %-46s %9s %9s %9s %9s %7s %9s %6s %5s  %s\n"

func newTable(out io.Writer) *table {
	fmt.Fprintf(out, format, "AT", "EVENT", "WITHDRAWN", "WHOLE", "STALL", "MEDIAN", "STALLED", "NEW CONN", "FAILED", "LOST", "LONGEST STALL OF")
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
		millis(w.Longest), millis(w.Median), fmt.Sprint(w.Noticed), millis(w.Fresh), fmt.Sprint(w.FreshFailed), fmt.Sprint(w.Lost), w.Worst)
}

func (t *table) end(v *soak.Verdict, stalls, withdrawals []time.Duration) {
	fmt.Fprintf(t.out, "\n%d of %d connections lost, %.0f MB verified; %d of %d new connections failed\n",
		len(v.Lost), v.Held, float64(v.Bytes)/1e6, len(v.FreshFailed), v.Fresh)
	if len(stalls) > 0 {
		fmt.Fprintf(t.out, "longest stall of a step: median of %d %s, maximum %s\n", len(stalls), millis(median(stalls)), millis(slices.Max(stalls)))
	}
	if len(withdrawals) > 0 {
		fmt.Fprintf(t.out, "withdrawal: median of %d %s, maximum %s\n", len(withdrawals), millis(median(withdrawals)), millis(slices.Max(withdrawals)))
	}
	if v.Orphans > 0 {
		fmt.Fprintf(t.out, "servers still have %d connections that no client has\n", v.Orphans)
	}
	for i, l := range v.Lost {
		if i < shown {
			fmt.Fprintf(t.out, "lost: %v\n", l)
		}
	}
	for i, err := range v.FreshFailed {
		if i < shown {
			fmt.Fprintf(t.out, "failed: %v\n", err)
		}
	}
}

// shown is how many losses are printed of each sort.
const shown = 20

func millis(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}
