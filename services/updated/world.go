package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"weir/firmware/slots"
	"weir/firmware/trial"
	"weir/firmware/upgrade"
	"weir/services/api"
	"weir/services/version"
)

// upgrader is what upgrade.Node can do.
type upgrader interface {
	AtBoot(version string) (trial.Record, trial.Decision, error)
	Running() trial.Slot
	Record() (trial.Record, error)
	Install(ctx context.Context, version string, i slots.Image) error
	Try(nonce uint64, watchdog time.Duration) error
	Load() error
	Cancel() error
	Commit() error
	RollBack(reason string) error
	Close() error
}

// world is all that updated touches beside its own files.
type world struct {
	open    func() (upgrader, error)
	server  bootServer                                     // nil: this machine was not booted over the network
	status  func(context.Context) (*api.NodeStatus, error) // noded's
	restart func(ctx context.Context, how string) error    // the machine: "reboot" or "kexec"
	uptime  func() time.Duration                           // of the kernel
	now     func() time.Time
	random  func() float64 // from 0 to 1
	boot    string         // names the life of the kernel
	version string         // that runs
	root    string         // file of the trusted root
	pace    time.Duration  // between two looks at the node
}

// askTimeout bounds one question to noded or init.
const askTimeout = 3 * time.Second

// machine is the world of a node whose sockets are in runDir; close ends the use of it.
func machine(runDir string) (w world, close func(), err error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return w, nil, fmt.Errorf("read the kernel's boot id: %w", err)
	}
	noded, err := dial(filepath.Join(runDir, "noded.sock"))
	if err != nil {
		return w, nil, err
	}
	init, err := dial(filepath.Join(runDir, "init.sock"))
	if err != nil {
		return w, nil, errors.Join(err, noded.Close())
	}
	w = world{
		open: func() (upgrader, error) {
			n, err := upgrade.Open()
			if err != nil {
				return nil, err
			}
			return n, nil
		},
		status: func(ctx context.Context) (*api.NodeStatus, error) {
			s, err := api.NewAdminClient(noded).Status(ctx, &api.NodeStatusRequest{})
			if err != nil {
				err = explain(ctx, api.NewMachineClient(init), err)
			}
			return s, err
		},
		restart: func(ctx context.Context, how string) error {
			_, err := api.NewMachineClient(init).End(ctx, &api.EndRequest{How: how, Who: "updated"})
			return said(err)
		},
		uptime: uptime, now: time.Now, random: rand.Float64, boot: strings.TrimSpace(string(boot)), version: version.Version,
		root: "/etc/weir/root.json", pace: time.Second, server: servedBy(commandLine(), usualStateDir),
	}
	return w, func() { noded.Close(); init.Close() }, nil
}

func dial(socket string) (*grpc.ClientConn, error) {
	return grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// explain says why noded does not answer: mostly because the boot has not come so far.
func explain(ctx context.Context, init api.MachineClient, err error) error {
	err = said(err)
	boot, bootErr := init.Boot(ctx, &api.BootRequest{})
	if bootErr != nil {
		return err
	}
	for _, p := range boot.Phases {
		if p.Result == "failed" {
			err = fmt.Errorf("boot phase %s failed: %s (%w)", p.Name, p.Reason, err)
		}
	}
	return err
}

// said is an error of a call as people read it.
func said(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(status.Convert(err).Message())
}

// uptime is the time since the kernel started, which no setting of the clock moves.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("updated: CLOCK_BOOTTIME: " + err.Error()) // every kernel since 2.6.39 has it
	}
	return time.Duration(t.Nano())
}
