package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"weir/services/api"
)

// machineTimeout bounds one question to init.
const machineTimeout = time.Second

// machine is init of the appliance that noded runs on. A node that somebody
// else brought up, such as the lab's, has none.
type machine struct {
	socket string
	conn   *grpc.ClientConn
	client api.MachineClient
}

func newMachine(runDir string) *machine {
	m := &machine{socket: filepath.Join(runDir, "init.sock")}
	conn, err := grpc.NewClient("unix:"+m.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic("noded: " + err.Error()) // only a malformed target fails, and this one is made here
	}
	m.conn, m.client = conn, api.NewMachineClient(conn)
	return m
}

func (m *machine) close() { m.conn.Close() }

// there reports whether an init offers its socket.
func (m *machine) there() bool {
	_, err := os.Stat(m.socket)
	return err == nil
}

// boot is how the machine came up; nil without an init.
func (m *machine) boot(ctx context.Context) (*api.BootStatus, error) {
	if !m.there() {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, machineTimeout)
	defer cancel()
	b, err := m.client.Boot(ctx, &api.BootRequest{})
	return b, said("boot", err)
}

// services are what init supervises; none without an init.
func (m *machine) services(ctx context.Context) ([]*api.Service, error) {
	if !m.there() {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, machineTimeout)
	defer cancel()
	s, err := m.client.Services(ctx, &api.ServicesRequest{})
	return s.GetServices(), said("services", err)
}

func said(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ask init for %s: %w", what, errors.New(status.Convert(err).Message()))
}

// kernelUptime is the time since the kernel started.
func kernelUptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("noded: CLOCK_BOOTTIME: " + err.Error()) // every kernel since 2.6.39 has it
	}
	return time.Duration(t.Nano())
}

// kernelBoot names the life of the kernel.
func kernelBoot() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the kernel's boot id: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// machineAlarms are what an operator should look at in how the machine came up.
func machineAlarms(b *api.BootStatus, services []*api.Service) []string {
	var out []string
	add := func(what, why, remedy string) {
		if remedy != "" {
			why += "; " + remedy
		}
		out = append(out, what+": "+why)
	}
	for _, p := range b.GetPhases() {
		if p.Result == "degraded" || p.Result == "failed" {
			add("boot phase "+p.Name+" "+p.Result, p.Reason, p.Remedy)
		}
	}
	if b.GetConfigLastGood() {
		out = append(out, "the machine runs with the last node configuration that worked, not with the present one")
	}
	for _, s := range services {
		switch s.State {
		case "backing off":
			add("service "+s.Name, s.LastEnd, fmt.Sprintf("it is started again in %.0f s, after %d restarts", s.NextStartSeconds, s.Restarts))
		case "failed":
			add("service "+s.Name+" failed", s.LastEnd, "")
		}
	}
	return out
}
