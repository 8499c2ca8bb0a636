package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/qemu/netns"
	"weir/services/program"
)

func TestTheClusterFileIsTakenUpWhenItChanges(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.listen(echo)
	old := w.dial(vip4)
	exchange(t, old, "before")
	w.write("cluster.yaml", strings.Replace(clusterYAML, "[203.0.113.9,", "[203.0.113.77,", 1))
	w.eventually("the new address is served", func() bool {
		return strings.Contains(w.sh(serverNS, "ip addr show dev weir0"), "203.0.113.77/32")
	})
	exchange(t, w.dial("203.0.113.77"), "new address")
	if strings.Contains(w.sh(serverNS, "ip addr show dev weir0; ip rule"), vip4) {
		t.Error("the old address stays")
	}
	w.write("cluster.yaml", "nonsense: true")
	w.eventually("the refusal is logged", func() bool { return strings.Contains(w.logged(), "is not taken") })
	exchange(t, w.dial("203.0.113.77"), "still there")
}

func TestHealthAndMetricsAreServed(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.listen(echo)
	c := w.dial(vip4)
	exchange(t, c, "hello")
	get := func(path string) string {
		client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
			DialContext: netns.Dialer(nodeNS, net.Dialer{}), DisableKeepAlives: true,
		}}
		r, err := client.Get("http://" + serverAddr + ":6091" + path)
		w.must(err)
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		w.must(err)
		if r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s", path, r.Status, b)
		}
		return string(b)
	}
	var h health
	w.must(json.Unmarshal([]byte(get("/")), &h))
	if h.Server != "srv1" || h.Draining || h.Connections != 1 {
		t.Errorf("health is %+v", h)
	}
	metrics := get("/metrics")
	for _, want := range []string{
		`weir_module_offers_total{answer="accepted"} 1`, `weir_module_offers_total{answer="cpu"} 0`, `weir_module_connections 1`,
		`weir_module_drops_total{reason="stranger"} 0`, `weir_module_utilization_ratio{metric="cpu"}`, `weir_module_draining 0`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	b, err := w.admin("GET", "/trace?client="+c.LocalAddr().String()+"&vip="+vip4+":7000")
	if err != nil || !strings.Contains(string(b), `"state":"established","ingress":"lb1","egress":"lb1","primary":"lb1"`) {
		t.Errorf("trace is %s, %v", b, err)
	}
	if _, err := w.admin("GET", "/trace?client=1.2.3.4:5&vip="+vip4+":7000"); err == nil {
		t.Error("a connection that is not here is traced")
	}
}

func TestTheAgentEndsWhenItsInterfaceIsRemoved(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.sh(serverNS, "ip link del weir0")
	done := make(chan error, 1)
	go func() { done <- w.agent.Wait() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
	if code := w.agent.ProcessState.ExitCode(); code != program.ExitFailed || !strings.Contains(w.logged(), "interface was removed") {
		t.Errorf("exit code %d", code)
	}
	w.agent = nil
	w.start()
	w.listen(echo)
	exchange(t, w.dial(vip4), "again")
}
