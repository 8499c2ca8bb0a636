package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weir/services/api"
	"weir/services/version"
)

// health is the answer of `/` on TCP 6091, for nodes that choose servers.
type health struct {
	Server      string  `json:"server"`
	Draining    bool    `json:"draining"`
	Utilization float64 `json:"utilization"` // projected, of the worst metric, 0 to 1 and above
	Connections int     `json:"connections"`
}

// healthHandler answers to the whole fabric: it reads, and changes nothing.
func (m *module) healthHandler() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(&collector{m}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		var h health
		ok := m.loop.call(m.ctx, func() {
			h = health{Server: m.settings.server.ID, Draining: m.core.Draining(), Connections: m.core.Established()}
			_, h.Utilization = m.control.Worst()
		})
		m.answer(w, h, ok)
	})
	return mux
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("weir_module_"+name, help, labels, nil)
}

var (
	descOffers      = describe("offers_total", "Offers by answer: accepted, or the reason of the rejection.", "answer")
	descDrops       = describe("drops_total", "Packets and messages that went no further, by reason.", "reason")
	descEvents      = describe("events_total", "Everything else that is counted.", "event")
	descUtilization = describe("utilization_ratio", "Utilisation by metric, projected with what was accepted since the last sample.", "metric")
	descConnections = describe("connections", "Established connections.")
	descDraining    = describe("draining", "1 while the server takes no new connections.")
	descBuild       = describe("build_info", "The running version.", "version")
)

// collector reads all counters when Prometheus asks.
type collector struct{ m *module }

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descOffers, descDrops, descEvents, descUtilization, descConnections, descDraining, descBuild} {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s, ok := c.m.status()
	if !ok {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counters := func(d *prometheus.Desc, all map[string]uint64) {
		for label, n := range all {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), label)
		}
	}
	counters(descOffers, s.Offers)
	counters(descDrops, s.Drops)
	counters(descEvents, s.Counters)
	for name, v := range s.Metrics {
		gauge(descUtilization, v.Projected, name)
	}
	gauge(descConnections, float64(s.Connections))
	draining := 0.0
	if s.Health == api.HealthDraining {
		draining = 1
	}
	gauge(descDraining, draining)
	gauge(descBuild, 1, version.Version)
}
