package main

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/provisioning/enrolclient"
	"weir/services/api"
	"weir/services/config"
	"weir/services/program"
	"weir/services/state"
	"weir/services/version"
)

// front is what noded answers with from its first moment: before there is a
// configuration it tells what it waits for, and what it knows of its machine.
type front struct {
	api.UnimplementedAdminServer
	log        *slog.Logger
	file       *config.Node
	text       []byte // of file, as the operator wrote it
	started    time.Time
	db         *state.DB
	machine    *machine
	updates    *updates
	milestones *milestones
	history    *history
	remote     *remote
	supervisor *program.Supervisor
	ready      sync.Once

	certificate atomic.Pointer[enrolclient.Keeper] // nil: an operator looks after it

	node  atomic.Pointer[node]   // nil: no configuration is in force
	waits atomic.Pointer[string] // why not
}

// wait notes why there is no configuration. Who asks is answered that, so noded
// is ready, in its supervisor's eyes.
func (f *front) wait(why string) {
	f.waits.Store(&why)
	f.tellReady()
	f.supervisor.Status(f.condition())
}

func (f *front) tellReady() { f.ready.Do(func() { f.supervisor.Ready(f.condition()) }) }

// reason is why there is no configuration.
func (f *front) reason() string {
	if why := f.waits.Load(); why != nil {
		return "no configuration is in force: " + *why
	}
	return "no configuration is in force yet"
}

// condition is what this node does, in a line.
func (f *front) condition() string {
	if n := f.node.Load(); n != nil {
		return n.condition()
	}
	return f.reason()
}

// serving is the node that has a configuration.
func (f *front) serving() (*node, error) {
	if n := f.node.Load(); n != nil {
		return n, nil
	}
	return nil, status.Error(codes.Unavailable, f.reason())
}

// Status is this node's view of itself and its cluster.
func (f *front) Status(ctx context.Context, _ *api.NodeStatusRequest) (*api.NodeStatus, error) {
	s := &api.NodeStatus{Id: f.file.Node, Version: version.Version, UptimeSeconds: time.Since(f.started).Seconds(), Milestones: f.milestones.look()}
	machine := f.askMachine(ctx)
	if n := f.node.Load(); n != nil {
		n.addStatus(ctx, s)
	} else {
		s.Alarms = append(s.Alarms, f.reason())
	}
	machine(s)
	if err := f.db.Failure(); err != nil {
		s.Alarms = append(s.Alarms, err.Error()+"; what changes now is forgotten with the next restart: make room on the state disk, or replace it")
	}
	if path := f.db.SetAside(); path != "" {
		s.Alarms = append(s.Alarms, "the state database was corrupt and is begun anew: the history is lost, and if this node was drained, drain it again; what was found is "+path)
	}
	if alarm := f.history.alarm(); alarm != "" {
		s.Alarms = append(s.Alarms, alarm)
	}
	if err := f.remote.failure(); err != nil {
		s.Alarms = append(s.Alarms, "operators elsewhere cannot reach this node: "+err.Error())
	}
	if err := f.certificateFailure(); err != nil {
		s.Alarms = append(s.Alarms, err.Error())
	}
	return s, nil
}

// askMachine asks init and updated, while others are asked too; what it returns adds the
// answers to a status.
func (f *front) askMachine(ctx context.Context) (add func(*api.NodeStatus)) {
	var boot *api.BootStatus
	var services []*api.Service
	var update *api.UpdateStatus
	var bootErr, servicesErr, updateErr error
	var asked sync.WaitGroup
	asked.Go(func() { boot, bootErr = f.machine.boot(ctx) })
	asked.Go(func() { services, servicesErr = f.machine.services(ctx) })
	asked.Go(func() { update, updateErr = f.updates.look(ctx) })
	return func(s *api.NodeStatus) {
		asked.Wait()
		s.Boot, s.Services, s.Update = boot, services, update
		for _, c := range boot.GetCrashes() {
			c.Text = "" // History has it
		}
		if err := cmp.Or(bootErr, servicesErr); err != nil {
			s.Alarms = append(s.Alarms, err.Error())
		}
		s.Alarms = append(s.Alarms, machineAlarms(boot, services)...)
		s.Alarms = append(s.Alarms, updateAlarms(update, updateErr)...)
	}
}

// Trace asks this node's dataplane for a flow.
func (f *front) Trace(ctx context.Context, r *api.TraceRequest) (*api.NodeTrace, error) {
	n, err := f.serving()
	if err != nil {
		return nil, err
	}
	return n.trace(ctx, r)
}

// Drain takes this node out of service, or puts it back, and tells how far it
// is. Who stops listening does not stop it.
func (f *front) Drain(r *api.DrainRequest, stream grpc.ServerStreamingServer[api.DrainProgress]) error {
	n, err := f.serving()
	if err != nil {
		return err
	}
	return n.drain(r, stream)
}

// Metrics are those that are served over HTTP.
func (f *front) Metrics(context.Context, *api.MetricsRequest) (*api.NodeMetrics, error) {
	n, err := f.serving()
	if err != nil {
		return nil, err
	}
	return n.metricsText()
}

// History is what the node remembers beyond a restart.
func (f *front) History(context.Context, *api.HistoryRequest) (*api.NodeHistory, error) {
	return f.history.look(f.file.Node), nil
}

// reportEvery is how often the supervisor hears what noded does, and membersEvery
// how often the members are noted.
const (
	reportEvery  = time.Second
	membersEvery = 10 * time.Second
)

// report keeps the supervisor and the history informed until ctx ends.
func (f *front) report(ctx context.Context) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	var noted time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			f.supervisor.Status(f.condition())
			if n := f.node.Load(); n != nil && now.Sub(noted) >= membersEvery {
				noted = now
				n.noteMembers()
			}
		}
	}
}
