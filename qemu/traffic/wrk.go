package traffic

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"weir/qemu/netns"
)

// Wrk is the result of a run of wrk(1).
type Wrk struct {
	Requests int
	Rate     float64 // requests per second
	Errors   string  // wrk's own words; empty: none
}

var (
	wrkRequests = regexp.MustCompile(`(?m)^\s*(\d+) requests in`)
	wrkRate     = regexp.MustCompile(`(?m)^Requests/sec:\s*([\d.]+)`)
	wrkErrors   = regexp.MustCompile(`(?m)^\s*(Socket errors:.*|Non-2xx or 3xx responses:.*)$`)
)

// RunWrk runs wrk with the given number of connections.
func (c Client) RunWrk(ctx context.Context, url string, connections, seconds int) (Wrk, error) {
	out, err := netns.Output(ctx, c.Namespace, "wrk", "-t", "1", "-c", strconv.Itoa(connections), "-d", strconv.Itoa(seconds)+"s", "--timeout", "10s", url)
	if err != nil {
		return Wrk{}, err
	}
	return parseWrk(out)
}

func parseWrk(out string) (Wrk, error) {
	requests, rate := wrkRequests.FindStringSubmatch(out), wrkRate.FindStringSubmatch(out)
	if requests == nil || rate == nil {
		return Wrk{}, fmt.Errorf("understand wrk's report: %s", out)
	}
	var w Wrk
	w.Requests, _ = strconv.Atoi(requests[1])
	w.Rate, _ = strconv.ParseFloat(rate[1], 64)
	var errs []string
	for _, m := range wrkErrors.FindAllStringSubmatch(out, -1) {
		errs = append(errs, strings.TrimSpace(m[1]))
	}
	w.Errors = strings.Join(errs, "; ")
	return w, nil
}
