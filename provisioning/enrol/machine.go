package enrol

import (
	"context"
	"strings"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/provisioning/machines"
	"weir/services/api"
	"weir/services/identity"
)

// Enrol notes a machine, and gives it its certificate once it is approved.
func (s *Service) Enrol(ctx context.Context, q *api.EnrolRequest) (*api.Enrolment, error) {
	key, err := machines.ParseCSR(q.Csr)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	i := q.GetIdentity()
	h, err := machines.NewHardware(i.GetMacs(), i.GetSerial(), i.GetUuid())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if !versionForm.MatchString(q.Version) {
		return nil, status.Error(codes.InvalidArgument, "the version is not one")
	}
	r, err := s.Registry.Enrol(key, h, clientOf(ctx), q.Version, time.Now())
	if err != nil {
		return nil, coded(err)
	}
	if r.Standing == machines.Pending && s.said.New("pending "+r.Fingerprint, time.Now()) {
		s.Log.Info("a machine waits for approval", "fingerprint", r.Fingerprint, "machine", h.String(), "client", clientOf(ctx))
	}
	return s.enrolment(r), nil
}

func (s *Service) enrolment(r machines.Record) *api.Enrolment {
	e := &api.Enrolment{State: states[r.Standing], Fingerprint: r.Fingerprint, PollSeconds: uint32(machines.PollEvery / time.Second)}
	if r.Standing == machines.Approved {
		e.Certificate, e.Authority, e.Role, e.Id = r.Certificate, s.Authority, r.Role, r.ID
	}
	return e
}

var states = map[machines.Standing]api.EnrolState{machines.Pending: api.EnrolState_ENROL_PENDING,
	machines.Approved: api.EnrolState_ENROL_APPROVED, machines.Revoked: api.EnrolState_ENROL_REVOKED}

// holder is the record of the machine that calls.
func (s *Service) holder(ctx context.Context) (machines.Record, error) {
	n, fingerprint, err := caller(ctx, identity.Node, identity.Server)
	if err != nil {
		return machines.Record{}, err
	}
	r, err := s.Registry.Holder(n, fingerprint, time.Now())
	if err != nil {
		return r, coded(err)
	}
	return r, nil
}

// Renew gives a new certificate for the key of the one that the caller shows.
func (s *Service) Renew(ctx context.Context, q *api.RenewRequest) (*api.Enrolment, error) {
	n, fingerprint, err := caller(ctx, identity.Node, identity.Server)
	if err != nil {
		return nil, err
	}
	key, err := machines.ParseCSR(q.Csr)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	r, err := s.Registry.Renew(n, fingerprint, key, time.Now())
	if err != nil {
		return nil, coded(err)
	}
	s.Log.Info("a certificate is renewed", "machine", n.String(), "until", r.Expires)
	return s.enrolment(r), nil
}

// Configuration is what is meant for the caller, secrets included.
func (s *Service) Configuration(ctx context.Context, _ *api.ConfigurationRequest) (*api.MachineConfiguration, error) {
	r, err := s.holder(ctx)
	if err != nil {
		return nil, err
	}
	c, err := s.Registry.Intended(r)
	if err != nil {
		return nil, coded(err)
	}
	return &api.MachineConfiguration{NodeYaml: c.NodeYAML, Version: c.Version, Install: c.Install}, nil
}

// Booted notes how a version does.
func (s *Service) Booted(ctx context.Context, q *api.BootReport) (*api.BootReported, error) {
	r, err := s.holder(ctx)
	if err != nil {
		return nil, err
	}
	if q.Version == "" || !versionForm.MatchString(q.Version) {
		return nil, status.Error(codes.InvalidArgument, "the version is not one")
	}
	committed, err := s.Registry.Booted(r.Role+" "+r.ID, q.Version, plain(q.Failed), q.Installed)
	if err != nil {
		return nil, coded(err)
	}
	s.Log.Info("a machine reports", "machine", r.Role+" "+r.ID, "version", q.Version, "failed", plain(q.Failed), "boots_next", committed)
	return &api.BootReported{Committed: committed}, nil
}

// plain is a reason in one bounded line that a terminal can show.
func plain(s string) string {
	if len(s) > maxReason {
		s = s[:maxReason]
	}
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || c == unicode.ReplacementChar {
			return ' '
		}
		return c
	}, s)
}
