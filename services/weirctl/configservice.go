package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"weir/qemu/netns"
	"weir/services/api"
	"weir/services/identity"
)

// serviceTimeout bounds one question to the configuration service, whose etcd
// may have to elect a leader.
const serviceTimeout = 10 * time.Second

// access is what the tool needs to call over the network.
type access struct {
	service string // ADDR[:PORT] of the configuration service
	files   identity.Files
	// From is the network namespace that the service is called from; empty: ours.
	from string
}

// withService calls the configuration service.
func withService(ctx context.Context, w *where, call func(context.Context, api.ConfigClient) error) error {
	conn, err := dialService(w)
	if err != nil {
		return err
	}
	defer conn.Close()
	return call(ctx, api.NewConfigClient(conn))
}

// dialService connects to the configuration service and to what is beside it.
func dialService(w *where) (*grpc.ClientConn, error) {
	a, err := w.serviceAccess()
	if err != nil {
		return nil, err
	}
	me, err := identity.Load(a.files)
	if err != nil {
		return nil, &coded{err, exitUsage}
	}
	options := append(callFrom(a.from), grpc.WithTransportCredentials(credentials.NewTLS(me.Client(identity.Configd))),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(api.MaxSnapshot)))
	conn, err := grpc.NewClient("passthrough:"+a.service, options...)
	if err != nil {
		return nil, fmt.Errorf("call the configuration service: %w", err)
	}
	return conn, nil
}

// callFrom are the options for calls from a network namespace; empty: ours.
func callFrom(namespace string) []grpc.DialOption {
	if namespace == "" {
		return nil
	}
	dial := netns.Dialer(namespace, net.Dialer{})
	return []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return dial(ctx, "tcp", address) })}
}

// serviceAccess is where the service is and who we are: as the flags say, or
// as the lab does.
func (w *where) serviceAccess() (access, error) {
	a := w.access
	if w.lab {
		l, err := readLab()
		if err != nil {
			return a, err
		}
		if l.Config == nil {
			return a, errors.New("this lab has no configuration service: its machines read a cluster file")
		}
		a = access{l.Config.Address, identity.Files{CA: l.Config.CA, Cert: l.Config.Cert, Key: l.Config.Key}, l.Config.Namespace}
	}
	if a.service == "" {
		return a, &coded{errors.New("name the configuration service: --config-service ADDR"), exitUsage}
	}
	if _, _, err := net.SplitHostPort(a.service); err != nil {
		a.service = net.JoinHostPort(strings.Trim(a.service, "[]"), "6092")
	}
	return a, nil
}

// ask bounds one question and turns its error into one for people.
func ask[Q, A any](ctx context.Context, call func(context.Context, Q, ...grpc.CallOption) (A, error), q Q) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, serviceTimeout)
	defer cancel()
	a, err := call(ctx, q)
	if err == nil {
		return a, nil
	}
	s := status.Convert(err)
	switch s.Code() {
	case codes.InvalidArgument:
		return a, &coded{badFile(strings.Split(s.Message(), "\n")), exitUsage}
	case codes.Unavailable, codes.DeadlineExceeded:
		return a, fmt.Errorf("the configuration service does not answer: %s", s.Message())
	case codes.Aborted:
		return a, &conflict{s.Message() + "; look again, and repeat"}
	case codes.FailedPrecondition:
		return a, &conflict{s.Message()}
	}
	return a, errors.New(s.Message())
}

// badFile is everything that the service finds wrong with a file, one line each.
type badFile []string

func (b badFile) Error() string { return strings.Join(b, "\nweirctl: ") }

// conflict says that things are not as they were, or not as they must be.
type conflict struct{ text string }

func (c *conflict) Error() string { return c.text }

// readFile reads a file that the user names.
func readFile(path string) (string, error) {
	if path == "" {
		return "", &coded{errors.New("name the cluster file: -f FILE"), exitUsage}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", &coded{err, exitUsage}
	}
	return string(b), nil
}
