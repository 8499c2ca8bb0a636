package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"weir/qemu/topology"
	"weir/services/api"
)

// NodeStatus asks a node's control plane how it is.
func (l *Lab) NodeStatus(ctx context.Context, n topology.Node) (*api.NodeStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, l.kind.callTimeout())
	defer cancel()
	conn, err := l.kind.dial(n)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	status, err := api.NewAdminClient(conn).Status(ctx, &api.NodeStatusRequest{})
	if err != nil {
		return nil, fmt.Errorf("ask noded of %s: %w", n.ID, err)
	}
	return status, nil
}

// ModuleStatus asks a server's module how it is.
func (l *Lab) ModuleStatus(ctx context.Context, s topology.Server) (*api.ModuleStatus, error) {
	socket := filepath.Join(l.machineDir(s.ID), "run", "lbmodule.sock")
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://module/status", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask lbmodule of %s: %w", s.ID, err)
	}
	defer resp.Body.Close()
	status := &api.ModuleStatus{}
	if err := json.NewDecoder(resp.Body).Decode(status); err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask lbmodule of %s: %s: %w", s.ID, resp.Status, err)
	}
	return status, nil
}
