// Package admission decides whether a server takes another connection (S-30,
// S-31). It is pure: samples, the time and the source of chance come in.
package admission

import (
	"math/rand/v2"

	"weir/dataplane/flow"
	"weir/dataplane/wire"
)

// Metric is one measure of a server's load.
type Metric uint8

const (
	CPU Metric = iota
	Bandwidth
	Connections
	Backlog
	NumMetrics
)

var names = [NumMetrics]string{"cpu", "bandwidth", "connections", "backlog"}

func (m Metric) String() string { return names[m] }

var reasons = [NumMetrics]uint8{wire.RejectCPU, wire.RejectBandwidth, wire.RejectConnections, wire.RejectBacklog}

// Step of the curve: from Utilization on, the share Reject of offers is
// rejected. 1 is 100 %.
type Step struct{ Utilization, Reject float64 }

// maxProjection bounds what accepted connections add to a sample, so that a
// wrong estimate of their cost cannot close a server by itself.
const maxProjection = 0.05

// rounding makes a server that is held at a step stay on it: utilisation
// counts in whole per cent, and the nearest one is meant.
const rounding = 0.005

// Controller holds the newest samples of one server. Use one per goroutine.
type Controller struct {
	steps []Step
	rng   *rand.Rand
	load  [NumMetrics]measure
}

type measure struct {
	sample float64
	cost   float64 // of one connection, in utilisation
	since  int     // connections accepted after the sample
}

func (m *measure) projected() float64 {
	return m.sample + min(float64(m.since)*m.cost, maxProjection)
}

// New makes a controller; steps rise in both fields.
func New(steps []Step, rng *rand.Rand) *Controller { return &Controller{steps: steps, rng: rng} }

// Sample takes a new utilisation of a metric, and what one connection more
// would add to it.
func (c *Controller) Sample(m Metric, utilization, cost float64) {
	c.load[m] = measure{sample: utilization, cost: max(cost, 0)}
}

// Utilization is the last sample of a metric, and with what was accepted since.
func (c *Controller) Utilization(m Metric) (sample, projected float64) {
	return c.load[m].sample, c.load[m].projected()
}

// Worst is the metric with the highest projected utilisation; it decides.
func (c *Controller) Worst() (m Metric, projected float64) {
	for i := range c.load {
		if p := c.load[i].projected(); p > projected {
			m, projected = Metric(i), p
		}
	}
	return m, projected
}

// Share is the share of offers that is rejected at a utilisation.
func (c *Controller) Share(utilization float64) float64 {
	share := 0.0
	for _, s := range c.steps {
		if utilization+rounding >= s.Utilization {
			share = s.Reject
		}
	}
	return share
}

// Admit decides on one offer: wire.RejectNone, or the reason.
func (c *Controller) Admit(int64, *flow.Key) uint8 {
	m, u := c.Worst()
	share := c.Share(u)
	if share <= 0 || share < 1 && c.rng.Float64() >= share {
		return wire.RejectNone
	}
	return reasons[m]
}

// Accepted counts a connection that was taken.
func (c *Controller) Accepted(int64) {
	for i := range c.load {
		c.load[i].since++
	}
}

// SetSteps takes up another curve.
func (c *Controller) SetSteps(steps []Step) { c.steps = steps }
