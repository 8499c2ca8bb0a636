package health

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/services/config"
)

// serveAt answers HTTP on an address until the test ends.
func serveAt(t *testing.T, at string, answer http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: answer}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(text)) }
}

func TestAServerIsCheckedByItsModuleAndItself(t *testing.T) {
	const well = `{"server":"srv1","draining":false}`
	check := func(c config.ServerCheck) []endpointCheck { return []endpointCheck{{"web", c}} }
	hang := make(chan struct{})
	defer close(hang)
	for _, tc := range []struct {
		name   string
		module http.HandlerFunc // nil: nobody listens
		web    http.HandlerFunc
		checks []endpointCheck
		want   Verdict
		why    string
	}{
		{"well", say(well), nil, nil, Verdict{OK: true, Alive: true}, ""},
		{"draining", say(`{"draining":true}`), nil, nil, Verdict{OK: true, Alive: true, Draining: true}, ""},
		{"module away", nil, nil, nil, Verdict{Alive: true}, "ping of its module: connection refused"},
		{"module hangs", func(http.ResponseWriter, *http.Request) { <-hang }, nil, nil, Verdict{Alive: true}, "ping of its module: no answer in time"},
		{"module is sick", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", 503) }, nil, nil, Verdict{Alive: true}, "HTTP status 503"},
		{"not a module", say("hello"), nil, nil, Verdict{Alive: true}, "the answer is not a module's"},
		{"server answers", say(well), say("ok"), check(config.ServerCheck{Type: "http", Port: 8080, Path: "/health"}), Verdict{OK: true, Alive: true}, ""},
		{"server is sick", say(well), func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", 500) },
			check(config.ServerCheck{Type: "http", Port: 8080, Path: "/"}), Verdict{Alive: true}, "check of endpoint web: HTTP status 500"},
		{"server accepts", say(well), say(""), check(config.ServerCheck{Type: "tcp", Port: 8080}), Verdict{OK: true, Alive: true}, ""},
		{"server away", say(well), nil, check(config.ServerCheck{Type: "tcp", Port: 8080}), Verdict{Alive: true}, "check of endpoint web: connection refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.module != nil {
				serveAt(t, "10.20.0.101:6091", tc.module)
			}
			if tc.web != nil {
				serveAt(t, "10.20.0.101:8080", tc.web)
			}
			got := probe(t.Context(), newClient(), &target{1, netip.MustParseAddr("10.20.0.101"), tc.checks}, 200*time.Millisecond)
			if got.OK != tc.want.OK || got.Alive != tc.want.Alive || got.Draining != tc.want.Draining || !strings.Contains(got.Why, tc.why) || got.OK != (got.Why == "") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAMachineThatAnswersNothingIsNotAlive(t *testing.T) {
	// Nobody resolves this neighbour.
	v := probe(t.Context(), newClient(), &target{1, netip.MustParseAddr("10.10.0.99"), nil}, 100*time.Millisecond)
	if v.OK || v.Alive || v.Why == "" {
		t.Errorf("%+v", v)
	}
}
