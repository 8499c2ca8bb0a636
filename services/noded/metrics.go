package main

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"

	"weir/services/api"
	"weir/services/noded/bgp"
	"weir/services/version"
)

// describe makes the description of one metric.
func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("weir_"+name, help, labels, nil)
}

var (
	buildInfo      = describe("build_info", "Always 1; the labels say what runs.", "version", "goversion")
	dataplaneUp    = describe("dataplane_up", "1 when the dataplane answers and has the desired state.")
	configCurrent  = describe("config_current", "1 when the newest configuration is in force.")
	uptime         = describe("dataplane_uptime_seconds", "Time since the dataplane started; counters begin then.")
	drops          = describe("drops_total", "Packets and messages dropped, by reason.", "reason")
	events         = describe("events_total", "Everything else that the dataplane counts, by name.", "event")
	flowsNow       = describe("flows", "Flows held, by state.", "state")
	flowsCapacity  = describe("flows_capacity", "Flows that can be held, by state.", "state")
	messages       = describe("messages_total", "Control messages, by type and direction.", "type", "dir")
	portPackets    = describe("port_packets_total", "Frames, by port and direction.", "port", "dir")
	portBytes      = describe("port_bytes_total", "Bytes, by port and direction.", "port", "dir")
	portErrors     = describe("port_errors_total", "Frames that the device failed on, by port and direction.", "port", "dir")
	portMissed     = describe("port_rx_missed_total", "Frames that the device lost because nobody took them.", "port")
	portFull       = describe("port_tx_full_total", "Frames lost because the device's queue was full.", "port")
	portLink       = describe("port_link_up", "1 when the link is up.", "port", "device")
	workerBusy     = describe("worker_busy_ratio", "Share of its time that a core had work in hand.", "worker", "stage", "core")
	workerPackets  = describe("worker_packets_total", "Packets taken up by a core.", "worker", "stage", "core")
	workerPolls    = describe("worker_polls_total", "Polls of a core, also empty ones.", "worker", "stage", "core")
	neighbours     = describe("neighbour_resolved", "1 when the next hop's link address is known.", "id", "port")
	buffers        = describe("buffers", "Packet buffers, by state.", "state")
	bgpUp          = describe("bgp_session_up", "1 when the session is established.", "advertises", "slot", "peer", "source")
	bgpLosses      = describe("bgp_session_losses_total", "Times that the established session was lost.", "advertises", "slot", "peer", "source")
	bgpPrefixes    = describe("bgp_session_prefixes", "Prefixes announced in the session.", "advertises", "slot", "peer", "source")
	allDescription = []*prometheus.Desc{
		buildInfo, dataplaneUp, configCurrent, uptime, drops, events, flowsNow, flowsCapacity, messages, portPackets, portBytes, portErrors, portMissed, portFull,
		portLink, workerBusy, workerPackets, workerPolls, neighbours, buffers, bgpUp, bgpLosses, bgpPrefixes,
	}
)

// collector asks the dataplane at every scrape, so nothing is counted twice or late.
type collector struct{ node *node }

func (n *node) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(&collector{n}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func (n *node) metricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.registry(), promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	return mux
}

// metricsText is the same as text.
func (n *node) metricsText() (*api.NodeMetrics, error) {
	families, err := n.registry().Gather()
	if err != nil {
		return nil, fmt.Errorf("gather metrics: %w", err)
	}
	var text strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			return nil, fmt.Errorf("write metrics: %w", err)
		}
	}
	return &api.NodeMetrics{Text: text.String()}, nil
}

// Describe lists all metrics.
func (*collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range slices.Concat(allDescription, healthDescriptions, machineDescriptions) {
		ch <- d
	}
}

// Collect reads everything once.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	n := c.node
	cluster, _, rejected := n.current()
	gauge(buildInfo, 1, version.Version, runtime.Version())
	gauge(configCurrent, truth(rejected == nil))
	n.collectHealth(cluster, gauge, counter)
	n.front.collectMachine(gauge, counter)
	for _, s := range n.sessions() {
		labels := []string{s.Advertises, s.Slot, s.Peer, s.Source}
		gauge(bgpUp, truth(s.State == bgp.StateEstablished), labels...)
		gauge(bgpPrefixes, float64(s.Prefixes), labels...)
		counter(bgpLosses, s.Losses, labels...)
	}
	d, err := n.link.status(context.Background())
	gauge(dataplaneUp, truth(err == nil && n.link.failure() == nil))
	if err != nil {
		return
	}
	gauge(uptime, d.UptimeSeconds)
	for reason, v := range d.Drops {
		counter(drops, v, reason)
	}
	for name, v := range d.Counters {
		counter(events, v, name)
	}
	for _, m := range d.Messages {
		counter(messages, m.Count, m.Type, m.Direction)
	}
	f := d.GetFlows()
	gauge(flowsNow, float64(f.GetEstablished()), "established")
	gauge(flowsNow, float64(f.GetHalfOpen()), "half_open")
	gauge(flowsNow, float64(f.GetPending()), "pending")
	gauge(flowsCapacity, float64(f.GetCapacity()), "established")
	gauge(flowsCapacity, float64(f.GetHalfOpenCapacity()), "half_open")
	gauge(buffers, float64(d.BuffersFree), "free")
	gauge(buffers, float64(d.BuffersCapacity), "capacity")
	for _, p := range d.Ports {
		gauge(portLink, truth(p.LinkUp), p.Name, p.Device)
		counter(portPackets, p.RxPackets, p.Name, "rx")
		counter(portPackets, p.TxPackets, p.Name, "tx")
		counter(portBytes, p.RxBytes, p.Name, "rx")
		counter(portBytes, p.TxBytes, p.Name, "tx")
		counter(portErrors, p.RxErrors, p.Name, "rx")
		counter(portErrors, p.TxErrors, p.Name, "tx")
		counter(portMissed, p.RxMissed, p.Name)
		counter(portFull, p.TxFull, p.Name)
	}
	for _, w := range d.Workers {
		labels := []string{strconv.Itoa(int(w.Index)), w.Stage, strconv.Itoa(int(w.Core))}
		gauge(workerBusy, w.Busy, labels...)
		counter(workerPackets, w.Packets, labels...)
		counter(workerPolls, w.Polls, labels...)
	}
	for _, v := range d.Neighbours {
		gauge(neighbours, truth(len(v.Mac) > 0), v.Id, v.Port)
	}
}

func truth(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}
