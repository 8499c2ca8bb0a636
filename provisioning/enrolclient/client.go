package enrolclient

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/identity"
)

// callTimeout bounds one question.
const callTimeout = 10 * time.Second

// Bounds of the time between two questions, whatever the service wishes.
const (
	pollLeast = time.Second
	pollMost  = time.Minute
)

// Stranger is a machine without a certificate: it knows where the service is, and
// the fingerprint of its authority's certificate, both from the boot command line
// (weir.enrol=, weir.enrol_ca=).
type Stranger struct {
	Address     string // host and port
	Fingerprint string // SHA-256 of the authority's certificate, hexadecimal
	Key         crypto.Signer
	Hardware    *api.MachineIdentity
	Version     string
	// Dial makes connections; nil: the usual way.
	Dial func(context.Context, string) (net.Conn, error)
}

// Ask asks once.
func (s *Stranger) Ask(ctx context.Context) (*api.Enrolment, error) {
	host, _, err := net.SplitHostPort(s.Address)
	if err != nil {
		return nil, fmt.Errorf("the enrolment service's address: %w", err)
	}
	csr, err := Request(s.Key)
	if err != nil {
		return nil, err
	}
	var e *api.Enrolment
	err = call(ctx, s.Address, identity.Pinned(s.Fingerprint, host, identity.Provisiond), s.Dial, func(ctx context.Context, c api.ProvisionClient) (err error) {
		e, err = c.Enrol(ctx, &api.EnrolRequest{Csr: csr, Identity: s.Hardware, Version: s.Version})
		return err
	})
	return e, err
}

// Enrol asks until an operator approves, and tells each answer and each failure;
// told may be nil. It ends without an answer when the context does, or when the
// service says that asking again is of no use.
func (s *Stranger) Enrol(ctx context.Context, told func(*api.Enrolment, error)) (*api.Enrolment, error) {
	for {
		e, err := s.Ask(ctx)
		if told != nil {
			told(e, err)
		}
		pause := pollMost / 4
		switch code := status.Code(err); {
		case err == nil && e.State == api.EnrolState_ENROL_APPROVED:
			return e, nil
		case code == codes.InvalidArgument || code == codes.PermissionDenied:
			return nil, err
		case err == nil:
			pause = min(max(time.Duration(e.PollSeconds)*time.Second, pollLeast), pollMost)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// Member is a machine with a certificate.
type Member struct {
	Address string
	Me      *identity.Identity
	Dial    func(context.Context, string) (net.Conn, error)
}

func (m *Member) call(ctx context.Context, ask func(context.Context, api.ProvisionClient) error) error {
	return call(ctx, m.Address, m.Me.Client(identity.Provisiond), m.Dial, ask)
}

// Renew asks for a new certificate of the same key.
func (m *Member) Renew(ctx context.Context, key crypto.Signer) (e *api.Enrolment, err error) {
	csr, err := Request(key)
	if err != nil {
		return nil, err
	}
	err = m.call(ctx, func(ctx context.Context, c api.ProvisionClient) (err error) {
		e, err = c.Renew(ctx, &api.RenewRequest{Csr: csr})
		return err
	})
	return e, err
}

// Configuration asks what is meant for this machine. It holds secrets.
func (m *Member) Configuration(ctx context.Context) (a *api.MachineConfiguration, err error) {
	err = m.call(ctx, func(ctx context.Context, c api.ProvisionClient) (err error) {
		a, err = c.Configuration(ctx, &api.ConfigurationRequest{})
		return err
	})
	return a, err
}

// Booted reports how a version does; failed is empty if it is well.
func (m *Member) Booted(ctx context.Context, version, failed string, installed bool) (committed string, err error) {
	err = m.call(ctx, func(ctx context.Context, c api.ProvisionClient) error {
		a, err := c.Booted(ctx, &api.BootReport{Version: version, Failed: failed, Installed: installed})
		committed = a.GetCommitted()
		return err
	})
	return committed, err
}

// RenewAt is when a certificate, in DER, is to be renewed: after two thirds of its
// time, so that a service that is away for weeks costs nothing.
func RenewAt(der []byte) (time.Time, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the certificate: %w", err)
	}
	return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 3 * 2), nil
}

func call(ctx context.Context, address string, security *tls.Config, dial func(context.Context, string) (net.Conn, error), ask func(context.Context, api.ProvisionClient) error) error {
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(security))}
	if dial != nil {
		options = append(options, grpc.WithContextDialer(dial))
	}
	conn, err := grpc.NewClient("passthrough:"+address, options...)
	if err != nil {
		return fmt.Errorf("call the enrolment service: %w", err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return ask(ctx, api.NewProvisionClient(conn))
}
