package guard

import "github.com/prometheus/client_golang/prometheus"

// Counters are what the metrics say of all parts of provisiond.
type Counters struct {
	Answered *prometheus.CounterVec // service, kind
	Refused  *prometheus.CounterVec // service, reason
}

// NewCounters registers them.
func NewCounters(to prometheus.Registerer) *Counters {
	c := &Counters{
		Answered: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "weir_provision_answered_total",
			Help: "Requests that were answered, by service (dhcp, tftp, http, enrol) and kind."}, []string{"service", "kind"}),
		Refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "weir_provision_refused_total",
			Help: "Requests that were refused, by service and reason."}, []string{"service", "reason"}),
	}
	to.MustRegister(c.Answered, c.Refused)
	return c
}

// Answer counts an answer.
func (c *Counters) Answer(service, kind string) { c.Answered.WithLabelValues(service, kind).Inc() }

// Refuse counts a refusal.
func (c *Counters) Refuse(service, reason string) { c.Refused.WithLabelValues(service, reason).Inc() }
