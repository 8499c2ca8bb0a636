package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	milestone       = describe("boot_milestone_seconds", "Time from the start of the kernel; absent until it is passed.", "milestone")
	phaseTime       = describe("boot_phase_seconds", "How long a phase of the machine's boot took.", "phase", "result")
	serviceReady    = describe("service_ready", "1 when a service of the machine is ready.", "service")
	serviceRestarts = describe("service_restarts_total", "Restarts of a service since boot that nobody asked for.", "service")
	serviceMemory   = describe("service_memory_bytes", "Memory of a service.", "service")
	serviceCPU      = describe("service_cpu_seconds_total", "Processor time of a service.", "service")
	stateOnDisk     = describe("state_on_disk", "1 when the state database takes what is written to it.")

	machineDescriptions = []*prometheus.Desc{milestone, phaseTime, serviceReady, serviceRestarts, serviceMemory, serviceCPU, stateOnDisk}
)

// collectMachine reads what init knows, where there is one.
func (f *front) collectMachine(gauge func(*prometheus.Desc, float64, ...string), counter func(*prometheus.Desc, uint64, ...string)) {
	gauge(stateOnDisk, truth(f.db.Failure() == nil))
	m := f.milestones.look()
	for name, at := range map[string]float64{"dataplane_ready": m.DataplaneReady, "state_complete": m.StateComplete, "announced": m.Announced, "traffic_ready": m.TrafficReady} {
		if at > 0 {
			gauge(milestone, at, name)
		}
	}
	boot, err := f.machine.boot(context.Background())
	if err != nil {
		return // dashboards show the gap
	}
	for _, p := range boot.GetPhases() {
		gauge(phaseTime, p.TookSeconds, p.Name, p.Result)
	}
	services, err := f.machine.services(context.Background())
	if err != nil {
		return
	}
	for _, s := range services {
		gauge(serviceReady, truth(s.State == "ready"), s.Name)
		gauge(serviceMemory, float64(s.Memory), s.Name)
		counter(serviceRestarts, uint64(s.Restarts), s.Name)
		counter(serviceCPU, uint64(s.CpuSeconds), s.Name)
	}
}
