package enrol

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/provisioning/machines"
	"weir/services/api"
	"weir/services/config"
	"weir/services/identity"
)

// Machines lists machines, and the entries that none has.
func (s *Service) Machines(ctx context.Context, _ *api.MachinesRequest) (*api.MachineList, error) {
	if _, err := operator(ctx); err != nil {
		return nil, err
	}
	now := time.Now()
	list, free := s.Registry.List(now)
	out := &api.MachineList{}
	for _, v := range list {
		out.List = append(out.List, machine(v, now))
	}
	for _, e := range free {
		out.WaitedFor = append(out.WaitedFor, &api.ConfiguredMachine{Role: e.Role, Id: e.ID})
	}
	return out, nil
}

func machine(v machines.View, now time.Time) *api.EnrolledMachine {
	m := &api.EnrolledMachine{Fingerprint: v.Fingerprint, State: states[v.Standing], Matches: v.Matches, Role: v.Role, Id: v.ID, Version: v.Version,
		Identity: &api.MachineIdentity{Macs: v.Hardware.MACs, Serial: v.Hardware.Serial, Uuid: v.Hardware.UUID}, SeenSeconds: -1}
	if v.Address.IsValid() {
		m.Address = v.Address.String()
	}
	if !v.Seen.IsZero() {
		m.SeenSeconds = max(0, now.Sub(v.Seen).Seconds())
	}
	if !v.Expires.IsZero() {
		m.Expires = v.Expires.Unix()
	}
	if b := v.Boot; b != nil {
		m.Boot = &api.MachineBoot{Committed: b.Committed, Trial: b.Trial, Offered: b.Offered, Failed: b.Failed, Installed: b.Installed}
	}
	return m
}

// Approve makes a machine what an entry says.
func (s *Service) Approve(ctx context.Context, q *api.ApproveRequest) (*api.EnrolledMachine, error) {
	n, err := operator(ctx, q.Machine, q.Id)
	if err != nil {
		return nil, err
	}
	role := q.Role
	if role == "" {
		role = config.RoleNode
	}
	v, err := s.Registry.Approve(q.Machine, role, q.Id, time.Now())
	if err != nil {
		return nil, coded(err)
	}
	s.Log.Info("a machine is approved", "machine", v.Role+" "+v.ID, "fingerprint", v.Fingerprint, "hardware", v.Hardware.String(), "by", n.String())
	return machine(v, time.Now()), nil
}

// Revoke takes a machine's certificates back.
func (s *Service) Revoke(ctx context.Context, q *api.RevokeRequest) (*api.EnrolledMachine, error) {
	n, err := operator(ctx, q.Machine)
	if err != nil {
		return nil, err
	}
	v, err := s.Registry.Revoke(q.Machine, time.Now())
	if err != nil {
		return nil, coded(err)
	}
	s.Log.Warn("a machine is revoked", "machine", v.Role+" "+v.ID, "fingerprint", v.Fingerprint, "hardware", v.Hardware.String(), "by", n.String())
	if err := s.Revoked(); err != nil {
		return nil, status.Errorf(codes.Internal, "it is revoked here, but %v", err)
	}
	return machine(v, time.Now()), nil
}

// operator is the operator that calls, if what he names is of a bounded length.
func operator(ctx context.Context, named ...string) (identity.Name, error) {
	n, _, err := caller(ctx, identity.Operator)
	if err != nil {
		return n, err
	}
	for _, s := range named {
		if len(s) > maxSelector {
			return n, status.Errorf(codes.InvalidArgument, "a name of %d characters is none", len(s))
		}
	}
	return n, nil
}
