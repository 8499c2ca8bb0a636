package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"weir/services/api"
)

// updates is the program updated of this machine, which replaces its image. What
// operators ask of it comes through noded, which knows who is one. A node that
// somebody else brought up, such as the lab's, has none.
type updates struct {
	api.UnimplementedUpdateServer
	socket string
	conn   *grpc.ClientConn
	client api.UpdateClient
}

func newUpdates(runDir string) *updates {
	u := &updates{socket: filepath.Join(runDir, "updated.sock")}
	conn, err := grpc.NewClient("unix:"+u.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic("noded: " + err.Error()) // only a malformed target fails, and this one is made here
	}
	u.conn, u.client = conn, api.NewUpdateClient(conn)
	return u
}

func (u *updates) close() { u.conn.Close() }

// look is how the image stands; nil where there is no updated, which no node
// needs to serve.
func (u *updates) look(ctx context.Context) (*api.UpdateStatus, error) {
	if _, err := os.Stat(u.socket); err != nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, machineTimeout)
	defer cancel()
	s, err := u.client.Status(ctx, &api.UpdateStatusRequest{})
	if err != nil {
		return nil, fmt.Errorf("ask updated: %w", errors.New(status.Convert(err).Message()))
	}
	return s, nil
}

// upgradesEvery is how often noded looks whether an upgrade has ended.
const upgradesEvery = 2 * time.Second

// watch has every upgrade's end noted until ctx ends.
func (u *updates) watch(ctx context.Context, note func(*api.UpdateStatus)) {
	tick := time.NewTicker(upgradesEvery)
	defer tick.Stop()
	for {
		if s, err := u.look(ctx); err == nil && s != nil {
			note(s)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// updateAlarms are what an operator should look at in how the image stands.
func updateAlarms(s *api.UpdateStatus, err error) []string {
	var out []string
	if err != nil {
		out = append(out, err.Error())
	}
	if s.GetFault() != "" {
		out = append(out, "upgrades: "+s.Fault)
	}
	if s.GetState() == "rolled back" {
		out = append(out, "the last upgrade was rolled back: "+s.Reason)
	}
	return out
}

// passed is one question to updated, with its answer's code.
func passed[Q, A any](u *updates, ctx context.Context, q Q, ask func(context.Context, Q, ...grpc.CallOption) (A, error)) (A, error) {
	a, err := ask(ctx, q)
	return a, u.explain(err)
}

// explain tells apart a machine without updated and an updated that does not answer.
func (u *updates) explain(err error) error {
	if status.Code(err) != codes.Unavailable {
		return err
	}
	if _, missing := os.Stat(u.socket); missing != nil {
		return status.Error(codes.Unavailable, "updated does not run on this node, so its image cannot be replaced from here")
	}
	return status.Error(codes.Unavailable, "updated does not answer; see its log on the console")
}

// Status is updated's.
func (u *updates) Status(ctx context.Context, r *api.UpdateStatusRequest) (*api.UpdateStatus, error) {
	return passed(u, ctx, r, u.client.Status)
}

// Check is updated's.
func (u *updates) Check(ctx context.Context, r *api.UpdateCheckRequest) (*api.UpdateCheck, error) {
	return passed(u, ctx, r, u.client.Check)
}

// Install is updated's. Who stops listening does not stop it.
func (u *updates) Install(r *api.UpdateInstallRequest, to grpc.ServerStreamingServer[api.UpdateProgress]) error {
	from, err := u.client.Install(to.Context(), r)
	for err == nil {
		var p *api.UpdateProgress
		if p, err = from.Recv(); err == nil {
			err = to.Send(p)
		}
	}
	return u.explain(ended(err))
}

// Try is updated's.
func (u *updates) Try(ctx context.Context, r *api.UpdateTryRequest) (*api.UpdateReply, error) {
	return passed(u, ctx, r, u.client.Try)
}

// RollBack is updated's.
func (u *updates) RollBack(ctx context.Context, r *api.UpdateRollBackRequest) (*api.UpdateReply, error) {
	return passed(u, ctx, r, u.client.RollBack)
}

// Pause is updated's.
func (u *updates) Pause(ctx context.Context, r *api.UpdatePauseRequest) (*api.UpdateReply, error) {
	return passed(u, ctx, r, u.client.Pause)
}

// Resume is updated's.
func (u *updates) Resume(ctx context.Context, r *api.UpdateResumeRequest) (*api.UpdateReply, error) {
	return passed(u, ctx, r, u.client.Resume)
}

// ended is the error of a stream; its end is none.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
