package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/identity"
)

// callTimeout bounds one question to one program of this machine, and
// remoteTimeout to one elsewhere, which also has to agree on keys first.
const (
	callTimeout   = 3 * time.Second
	remoteTimeout = 10 * time.Second
)

// target is one program to ask.
type target struct {
	id     string         // empty: not known before it answers
	socket string         // path, or address with port of a node's admin interface
	files  identity.Files // who we are to an address
	from   string         // network namespace that an address is called from; empty: ours
}

// remote reports whether the target is called over the network.
func (t target) remote() bool {
	return !strings.Contains(t.socket, "/") && strings.Contains(t.socket, ":")
}

// dial calls a node's admin interface: its socket, or over mutual TLS.
func (t target) dial() (*grpc.ClientConn, error) {
	address, security := "unix:"+t.socket, insecure.NewCredentials()
	var options []grpc.DialOption
	if t.remote() {
		me, err := identity.Load(t.files)
		if err != nil {
			return nil, &coded{fmt.Errorf("call %s: %w", t, err), exitUsage}
		}
		address, security = "passthrough:"+t.socket, credentials.NewTLS(me.Client(identity.Node))
		options = callFrom(t.from)
	}
	conn, err := grpc.NewClient(address, append(options, grpc.WithTransportCredentials(security))...)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", t, err)
	}
	return conn, nil
}

// where says which programs are asked.
type where struct {
	lab     bool
	nodes   []string
	modules []string
	access  access
}

// labFile is the part of lab.json that weirctl needs.
type labFile struct {
	LBNodes []struct{ ID, Admin string } `json:"lb_nodes"`
	Servers []struct{ ID, Admin string } `json:"servers"`
	// Config is how an operator of the lab calls its configuration service, and
	// nodes that have an address instead of a socket.
	Config *struct{ Namespace, Address, CA, Cert, Key string } `json:"config"`
}

// targets are the nodes and modules to ask.
func (w *where) targets() (nodes, modules []target, err error) {
	if w.lab {
		return labTargets()
	}
	for _, s := range w.nodes {
		nodes = append(nodes, target{socket: s, files: w.access.files})
	}
	for _, s := range w.modules {
		// A node has no module, and a server no noded: only what is there is asked.
		if _, err := os.Stat(s); err == nil {
			modules = append(modules, target{socket: s})
		}
	}
	return nodes, modules, nil
}

// readLab finds the running lab, in this folder or above.
func readLab() (*labFile, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the lab: %w", err)
	}
	var b []byte
	for {
		b, err = os.ReadFile(filepath.Join(dir, "build", "lab", "lab.json"))
		if err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("no lab runs: build/lab/lab.json is neither here nor above; make lab-up starts one")
	} else if err != nil {
		return nil, fmt.Errorf("read the lab: %w", err)
	}
	l := &labFile{}
	if err := json.Unmarshal(b, l); err != nil {
		return nil, fmt.Errorf("read %s/build/lab/lab.json: %w", dir, err)
	}
	return l, nil
}

func labTargets() (nodes, modules []target, err error) {
	l, err := readLab()
	if err != nil {
		return nil, nil, err
	}
	for _, n := range l.LBNodes {
		t := target{id: n.ID, socket: n.Admin}
		if c := l.Config; c != nil { // a node that is a machine of its own is called over the network
			t.files, t.from = identity.Files{CA: c.CA, Cert: c.Cert, Key: c.Key}, c.Namespace
		}
		nodes = append(nodes, t)
	}
	for _, s := range l.Servers {
		modules = append(modules, target{id: s.ID, socket: s.Admin})
	}
	return nodes, modules, nil
}

// askAll asks every target at the same time and keeps their order.
func askAll[T any](list []target, ask func(target) (T, error)) ([]T, []error) {
	out, errs := make([]T, len(list)), make([]error, len(list))
	var wg sync.WaitGroup
	for i, t := range list {
		wg.Go(func() { out[i], errs[i] = ask(t) })
	}
	wg.Wait()
	return out, errs
}

// askNode calls the admin interface of a node.
func askNode[T any](ctx context.Context, t target, call func(context.Context, api.AdminClient) (T, error)) (T, error) {
	timeout := callTimeout
	if t.remote() {
		timeout = remoteTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var zero T
	conn, err := t.dial()
	if err != nil {
		return zero, err
	}
	defer conn.Close()
	v, err := call(ctx, api.NewAdminClient(conn))
	if err != nil {
		if _, serr := os.Stat(t.socket); serr != nil && !t.remote() {
			return zero, fmt.Errorf("ask %s: is noded running? %w", t, serr)
		}
		return zero, fmt.Errorf("ask %s: %s", t, status.Convert(err).Message())
	}
	return v, nil
}

// errNotThere says that a module does not have what was asked for.
var errNotThere = errors.New("not there")

// askModule calls a module's agent and decodes its answer into v, unless v is nil.
func askModule(ctx context.Context, t target, method, path string, query url.Values, v any) error {
	client := http.Client{Timeout: callTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", t.socket)
		},
	}}
	u := url.URL{Scheme: "http", Host: "lbmodule", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", t, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op
		}
		return fmt.Errorf("ask %s: is lbmodule running? %w", t, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	switch {
	case err != nil:
		return fmt.Errorf("ask %s: %w", t, err)
	case resp.StatusCode == http.StatusNotFound:
		return errNotThere
	case resp.StatusCode >= 400:
		return fmt.Errorf("ask %s: %s", t, strings.TrimSpace(string(body)))
	case v == nil:
		return nil
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("ask %s: %w", t, err)
	}
	return nil
}

func (t target) String() string {
	if t.id != "" {
		return t.id
	}
	return t.socket
}
