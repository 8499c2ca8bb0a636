package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"weir/init/clock"
	"weir/init/cmdline"
	"weir/init/ending"
	"weir/init/identity"
	"weir/init/machineapi"
	"weir/init/modules"
	"weir/init/mounts"
	"weir/init/phase"
	"weir/init/slot"
	"weir/init/state"
	"weir/init/supervisor"
	"weir/init/sysfs"
	"weir/services/config"
)

// boot runs the phases. Console and API are there from the first on.
func (n *node) boot() {
	ctx := context.Background()
	mounted := n.phases.Run(phaseMounts, func() phase.Outcome { return mounts.Machine().Do(mounts.Early) })
	n.mu.Lock()
	n.line = cmdline.Parse(sysfs.Text("/proc/cmdline"))
	n.slot = n.line.Slot()
	n.mu.Unlock()
	n.watch()
	n.openUp(ctx)
	n.super.Pet(n.dog.feed)
	if mounted.Result.Usable() {
		n.super.Meet(phaseMounts)
	}
	n.phase(phaseModules, n.loadModules)
	n.state.Probed = n.findDisks()
	_, served := n.line.Get("weir.image")
	n.state.Install = served // somebody may want the image there, now or later
	n.end.PowerButton("")
	n.dog.arm(config.DefaultWatchdog) // all of them, now that their drivers are loaded
	n.phase(phaseIdentity, n.identify)
	n.phase(phaseState, func() phase.Outcome { return n.openState(ctx) })
	n.end.Go(func() { n.judge(ctx) })
	n.phase(phaseClock, n.startClock)
	for n.phase(phaseConfiguration, func() phase.Outcome { return n.configure(ctx) }) == phase.Failed {
		n.withoutConfiguration()
		if !n.mayComeLater() {
			return
		}
		time.Sleep(retryConfiguration)
	}
	n.bringUp(ctx, n.config)
}

// retryConfiguration is between attempts to fetch a configuration, as long as
// the node has none at all.
const retryConfiguration = 15 * time.Second

// watch arms the chipset's watchdog before anything else can hang.
func (n *node) watch() {
	if n.modules, n.noModules = modules.NewLoader(); n.noModules != nil {
		return // the phase of modules tells
	}
	if err := n.modules.LoadWatchdogs(); err != nil {
		n.tell("the start is not watched: " + err.Error())
	}
	n.dog.arm(config.DefaultWatchdog)
}

// openUp starts what makes the node reachable: logs, API, supervisor.
func (n *node) openUp(ctx context.Context) {
	n.end.Go(func() {
		if err := n.logs.FollowKernel(ctx, "/dev/kmsg"); err != nil {
			n.tell(err.Error())
		}
	})
	groups := supervisor.Groups("/sys/fs/cgroup")
	if err := groups.Prepare(); err != nil {
		n.tell("services run without cgroups: " + err.Error())
		groups = ""
	}
	super, err := supervisor.New(supervisor.Options{Now: phase.SinceKernel, Tell: n.tell, Logs: n.logs, Groups: groups,
		Notify: "/run/weir/notify", Crashed: n.crashes.AddService}, table(""))
	if err != nil {
		panic(err) // the table is wrong: a slip in the code
	}
	n.super = super
	n.end.Go(func() { super.Run(ctx) })
	if err := errors.Join(n.end.Keys(ending.Real{}), ending.CrashOutput()); err != nil {
		n.tell(err.Error())
	}
	l, err := machineapi.Listen("/run/weir/init.sock")
	if err != nil {
		n.tell("no API of init: " + err.Error())
		return
	}
	server := machineapi.New(machineapi.Init{Boot: n.status, Crashes: n.crashes, Supervisor: super, Logs: n.logs, Ask: n.end.Ask, Tell: n.tell})
	n.end.Go(func() {
		if err := server.Serve(l); err != nil {
			n.tell("API of init: " + err.Error())
		}
	})
}

func (n *node) loadModules() phase.Outcome {
	o := phase.Fail("boot the image with the kernel that it was built with", "%v", n.noModules)
	if n.modules != nil {
		n.probeDisks, o = n.modules.Boot()
	}
	late := mounts.Machine().Do(mounts.Late)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.slot == "" {
		n.slot = slot.Booted("")
	}
	n.nics = unassigned(n.system.List())
	if o.Result == phase.OK && late.Result != phase.OK {
		return late
	}
	return o
}

// findDisks goes on loading the modules of disks; the channel is closed at its end.
func (n *node) findDisks() <-chan struct{} {
	done := make(chan struct{})
	n.end.Go(func() {
		err := n.probeDisks()
		close(done)
		if err != nil {
			n.phases.Update(phaseModules, modules.Degraded(err))
		}
	})
	return done
}

// load is for phases that need a module of the kernel.
func (n *node) load(module string) error {
	if n.modules == nil {
		return fmt.Errorf("kernel module %s: none can be loaded, see the phase %s", module, phaseModules)
	}
	return n.modules.Load(module)
}

func (n *node) identify() phase.Outcome {
	id, o := identity.Read()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.identity = id
	return o
}

// openState mounts the state partition, and has logs and crash records written
// there from now on.
func (n *node) openState(ctx context.Context) phase.Outcome {
	o := n.state.Open(ctx)
	onDisk := n.state.Status().Mode == state.ReadWrite
	if onDisk {
		stop := n.logs.Keep(state.Dir+"/log", n.tell)
		n.mu.Lock()
		n.stopLogs = stop
		n.mu.Unlock()
		if err := n.crashes.Open(state.Dir + "/crash"); err != nil {
			n.tell(err.Error())
		}
	}
	if found, err := n.crashes.Collect("/sys/fs/pstore"); err != nil {
		n.tell(err.Error())
	} else if found > 0 {
		n.tell("the kernel died before this boot and left a record: see crashes on the console")
	}
	if boots, err := n.state.CountBoot(); err == nil && onDisk && o.Result == phase.OK {
		o.Reason = strings.TrimPrefix(fmt.Sprintf("%s, boot %d", o.Reason, boots), ", ")
	}
	return o
}

func (n *node) startClock() phase.Outcome {
	r, err := clock.ReadRelease("")
	o := n.clock.Start(r)
	if err != nil && o.Result == phase.OK {
		return phase.Degrade("boot an image made with make image", "when the image was built is not known: %v", err)
	}
	return o
}
