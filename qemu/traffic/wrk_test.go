package traffic

import "testing"

func TestWrkReportsAreUnderstood(t *testing.T) {
	got, err := parseWrk(`Running 10s test @ http://203.0.113.10/
  1 threads and 200 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    15.00ms    1.00ms  20.00ms   90.00%
    Req/Sec    13.00k     1.00k   15.00k    80.00%
  130000 requests in 10.00s, 20.00MB read
  Socket errors: connect 0, read 3, write 0, timeout 1
  Non-2xx or 3xx responses: 2
Requests/sec:  13000.50
Transfer/sec:      2.00MB
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Wrk{Requests: 130000, Rate: 13000.5, Errors: "Socket errors: connect 0, read 3, write 0, timeout 1; Non-2xx or 3xx responses: 2"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, err := parseWrk("unable to connect"); err == nil {
		t.Error("a report without figures was accepted")
	}
}
