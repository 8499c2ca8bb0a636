package main

import (
	"log/slog"
	"time"

	"weir/services/lbmodule/admission"
	"weir/services/lbmodule/agent"
	"weir/services/lbmodule/diag"
	"weir/services/lbmodule/usage"
)

// sampler feeds the admission controller with what the machine says (S-30).
type sampler struct {
	log         *slog.Logger
	interval    time.Duration
	control     *admission.Controller
	accepted    func() uint64
	last        uint64
	cpu         usage.CPU
	cpuRate     admission.Rate
	cpuFull     admission.Saturation
	uplink      int
	bandwidth   float64 // bytes per second; 0: not judged
	receiveRate admission.Rate
	sendRate    admission.Rate
	connections int
	sockets     *diag.Conn
	endpoints   []agent.Endpoint
	failing     bool
}

// sample reads every metric once. One that cannot be read keeps its last value.
func (s *sampler) sample(now int64, established int) {
	total := s.accepted()
	accepted := int(total - s.last)
	s.last = total
	var errs [3]error
	errs[0] = s.sampleCPU(now, accepted)
	errs[1] = s.sampleBandwidth(now, accepted)
	errs[2] = s.sampleBacklog()
	if s.connections > 0 {
		full := float64(s.connections)
		s.control.Sample(admission.Connections, float64(established)/full, 1/full)
	}
	s.report(errs[:])
}

func (s *sampler) sampleCPU(now int64, accepted int) error {
	t, err := s.cpu.Read()
	if err != nil {
		return err
	}
	u, cost := s.cpuRate.Add(now, t.Used, t.Capacity, accepted)
	if s.cpuFull.Add(now, t.Periods, t.Throttled) {
		u = max(u, 1)
	}
	s.control.Sample(admission.CPU, u, cost)
	return nil
}

func (s *sampler) sampleBandwidth(now int64, accepted int) error {
	if s.bandwidth <= 0 {
		return nil
	}
	received, sent, err := usage.Bytes(s.uplink)
	if err != nil {
		return err
	}
	in, inCost := s.receiveRate.Add(now, float64(received), s.bandwidth, accepted)
	out, outCost := s.sendRate.Add(now, float64(sent), s.bandwidth, accepted)
	s.control.Sample(admission.Bandwidth, max(in, out), max(inCost, outCost))
	return nil
}

// sampleBacklog measures how full the accept queue of the listening socket is:
// connections that the program has not taken yet wait in it.
func (s *sampler) sampleBacklog() error {
	waiting, size, err := s.sockets.Backlog(s.endpoints)
	if err != nil {
		return err
	}
	if size == 0 {
		s.control.Sample(admission.Backlog, 0, 0)
		return nil
	}
	s.control.Sample(admission.Backlog, float64(waiting)/float64(size), 1/float64(size))
	return nil
}

// report logs when a metric cannot be read any more, and when all can again.
func (s *sampler) report(errs []error) {
	failing := false
	for _, err := range errs {
		if err == nil {
			continue
		}
		if failing = true; !s.failing {
			s.log.Warn("a metric of the admission cannot be read; its last value stays", "error", err)
		}
	}
	if s.failing && !failing {
		s.log.Info("all metrics of the admission can be read again")
	}
	s.failing = failing
}
