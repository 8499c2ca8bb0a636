// Package machineapi serves api.Machine over a Unix socket: what init tells of
// the machine and does to it, for noded, the console and whoever is root.
package machineapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/init/crash"
	"weir/init/ending"
	"weir/init/logs"
	"weir/init/supervisor"
	"weir/services/api"
)

// Init is what is served: init's parts.
type Init struct {
	Boot       func() *api.BootStatus // all of it but the crashes
	Crashes    *crash.Store
	Supervisor *supervisor.Supervisor
	Logs       *logs.Store
	Ask        func(how ending.How, why string) error // see ending.Ask
	Tell       func(line string)                      // what an operator should know
}

// Listen makes the socket, which only root can use.
func Listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("make init's socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("make init's socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("protect init's socket: %w", err)
	}
	return l, nil
}

// New makes the server. A panic in a call is that call's error and no more.
func New(i Init) *grpc.Server {
	s := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, call grpc.UnaryHandler) (out any, err error) {
			defer i.recover(&err)
			return call(ctx, in)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, call grpc.StreamHandler) (err error) {
			defer i.recover(&err)
			return call(srv, stream)
		}))
	api.RegisterMachineServer(s, &server{Init: i})
	return s
}

func (i *Init) recover(err *error) {
	if p := recover(); p != nil {
		*err = status.Errorf(codes.Internal, "panic in init: %v", p)
		i.Tell(fmt.Sprintf("panic in init's api: %v\n%s", p, debug.Stack()))
	}
}

type server struct {
	api.UnimplementedMachineServer
	Init
}

func (s *server) Boot(context.Context, *api.BootRequest) (*api.BootStatus, error) {
	b := s.Init.Boot()
	for _, r := range s.Crashes.List() {
		b.Crashes = append(b.Crashes, &api.CrashRecord{Name: r.Name, Time: r.Time.Format(time.RFC3339), Text: r.Text})
	}
	return b, nil
}

func (s *server) Services(context.Context, *api.ServicesRequest) (*api.ServicesStatus, error) {
	out := &api.ServicesStatus{}
	for _, v := range s.Supervisor.Status() {
		out.Services = append(out.Services, &api.Service{
			Name: v.Name, State: string(v.State), Pid: uint32(v.PID), Restarts: uint32(v.Restarts), SinceSeconds: v.For.Seconds(),
			Status: v.Says, LastEnd: v.LastEnd, NextStartSeconds: v.NextStart.Seconds(),
			CpuSeconds: v.CPU.Seconds(), Memory: v.Memory, WaitsFor: v.WaitsFor,
		})
	}
	return out, nil
}

func (s *server) Logs(r *api.LogsRequest, stream grpc.ServerStreamingServer[api.LogLine]) error {
	source := s.Init.Logs.Lookup(r.Source)
	if source == nil {
		return status.Errorf(codes.NotFound, "no log %q; there are %q", r.Source, s.Init.Logs.Names())
	}
	send := func(l logs.Line) error { return stream.Send(&api.LogLine{Seconds: l.At.Seconds(), Text: l.Text}) }
	if r.Follow {
		return source.Follow(stream.Context(), int(r.Lines), send)
	}
	for _, l := range source.Tail(int(r.Lines)) {
		if err := send(l); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) Control(_ context.Context, r *api.ControlRequest) (*api.ControlReply, error) {
	if err := s.Supervisor.Control(r.Service, r.Action); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	s.Tell(fmt.Sprintf("%s: %s was asked for", r.Service, r.Action))
	return &api.ControlReply{}, nil
}

func (s *server) End(_ context.Context, r *api.EndRequest) (*api.EndReply, error) {
	who := r.Who
	if who == "" {
		who = "somebody on this machine"
	}
	if err := s.Ask(ending.How(r.How), "asked for by "+who); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &api.EndReply{}, nil
}
