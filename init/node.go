package main

import (
	"context"
	"sync"
	"time"

	"weir/init/clock"
	"weir/init/cmdline"
	"weir/init/crash"
	"weir/init/ending"
	"weir/init/identity"
	"weir/init/logs"
	"weir/init/modules"
	"weir/init/nic"
	"weir/init/nodeconfig"
	"weir/init/phase"
	"weir/init/state"
	"weir/init/supervisor"
)

// The phases of a boot, in their order.
const (
	phaseMounts        = "mounts"
	phaseModules       = "modules"
	phaseIdentity      = "identity"
	phaseState         = "state"
	phaseClock         = "clock"
	phaseConfiguration = "configuration"
	phaseNetwork       = "network"
	phaseHugepages     = "hugepages"
	phaseNICs          = "nics"
	phaseKernel        = "kernel"
	phaseServices      = "services"
)

// node is the machine as far as init has brought it up.
type node struct {
	phases    *phase.List
	console   *console
	logs      *logs.Store
	crashes   *crash.Store
	end       *ending.Ending
	state     *state.System
	clock     *clock.Clock
	modules   *modules.Loader // nil: none can be loaded, see noModules
	noModules error
	// probeDisks is what is left of the phase modules for the background.
	probeDisks func() error
	system     nic.System
	super      *supervisor.Supervisor
	dog        dog

	mu       sync.Mutex // guards the rest, which the API reads
	line     cmdline.Line
	slot     string // "a", "b", "net"; empty: not known
	identity identity.Identity
	config   *nodeconfig.Loaded // nil: none is in force
	nics     []nic.Assigned
	stopLogs func(context.Context) // writes what is left; nil: nothing is written
}

func newNode() *node {
	n := &node{console: newConsole(), logs: logs.NewStore(phase.SinceKernel), end: ending.New(), clock: clock.New(),
		state: state.Machine(run), probeDisks: func() error { return nil }}
	n.dog.none = "it was not looked for yet"
	n.crashes = crash.NewStore(time.Now, n.tell)
	n.system = nic.System{Load: n.load}
	n.phases = phase.NewList(phase.SinceKernel, n.tell, phaseMounts, phaseModules, phaseIdentity, phaseState, phaseClock,
		phaseConfiguration, phaseNetwork, phaseHugepages, phaseNICs, phaseKernel, phaseServices)
	return n
}

// tell says something to operators: on the console and in init's log.
func (n *node) tell(line string) {
	n.console.print(line)
	n.logs.Source("init").Print(line)
}

// phase runs one phase. What needs it may start if it went well enough.
func (n *node) phase(name string, run func() phase.Outcome) phase.Result {
	o := n.phases.Run(name, run)
	if o.Result.Usable() && n.super != nil {
		n.super.Meet(name)
	}
	return o.Result
}
