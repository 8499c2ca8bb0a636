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
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"weir/services/api"
)

// callTimeout bounds one question to one program.
const callTimeout = 3 * time.Second

// target is one program to ask.
type target struct {
	id     string // empty: not known before it answers
	socket string
}

// where says which programs are asked.
type where struct {
	lab     bool
	nodes   []string
	modules []string
}

// labFile is the part of lab.json that weirctl needs.
type labFile struct {
	LBNodes []struct{ ID, Admin string } `json:"lb_nodes"`
	Servers []struct{ ID, Admin string } `json:"servers"`
}

// targets are the nodes and modules to ask.
func (w *where) targets() (nodes, modules []target, err error) {
	if w.lab {
		return labTargets()
	}
	for _, s := range w.nodes {
		nodes = append(nodes, target{socket: s})
	}
	for _, s := range w.modules {
		// A node has no module, and a server no noded: only what is there is asked.
		if _, err := os.Stat(s); err == nil {
			modules = append(modules, target{socket: s})
		}
	}
	return nodes, modules, nil
}

// labTargets finds the running lab, in this folder or above.
func labTargets() (nodes, modules []target, err error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, nil, fmt.Errorf("find the lab: %w", err)
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
		return nil, nil, errors.New("no lab runs: build/lab/lab.json is neither here nor above; make lab-up starts one")
	} else if err != nil {
		return nil, nil, fmt.Errorf("read the lab: %w", err)
	}
	var l labFile
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, nil, fmt.Errorf("read %s/build/lab/lab.json: %w", dir, err)
	}
	for _, n := range l.LBNodes {
		nodes = append(nodes, target{n.ID, n.Admin})
	}
	for _, s := range l.Servers {
		modules = append(modules, target{s.ID, s.Admin})
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
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var zero T
	conn, err := grpc.NewClient("unix:"+t.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return zero, fmt.Errorf("ask %s: %w", t, err)
	}
	defer conn.Close()
	v, err := call(ctx, api.NewAdminClient(conn))
	if err != nil {
		if _, serr := os.Stat(t.socket); serr != nil {
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
