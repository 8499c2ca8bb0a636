// Command provisiond boots machines over the network, beside somebody else's DHCP
// server or as the DHCP server, and enrols them (S-105).
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"weir/services/config"
	"weir/services/program"
)

func main() {
	program.Main(program.Daemon{Name: "provisiond", Config: "/etc/weir/provisiond.yaml", Run: run,
		About: "Boots machines over the network and enrols them: DHCP (beside another server, or as\n" +
			"the server), TFTP and HTTP for PXE, iPXE and UEFI HTTP boot; certificates for machines\n" +
			"that an operator approves (weirctl machine)."})
}

// run is the program from reading its file to its last goodbye.
func run(ctx context.Context, log *slog.Logger, path string) error {
	file, err := config.LoadProvisiond(path)
	if err != nil {
		return program.ConfigError(err)
	}
	lock, err := program.LockRunDir(file.StateDir, "provisiond")
	if err != nil {
		return err
	}
	defer lock.Close()
	p, err := open(log, file)
	if err != nil {
		return err
	}
	defer p.close()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	for name, serve := range p.services {
		work.Go(func() {
			err := serve(ctx)
			if err == nil && ctx.Err() == nil {
				err = errors.New("it ended by itself")
			}
			if err != nil {
				cancel(fmt.Errorf("serve %s: %w", name, err))
			}
		})
	}
	supervisor := program.NewSupervisor(log)
	supervisor.Ready("serves cluster " + p.cluster)
	log.Info("provisiond is ready", "cluster", p.cluster, "interface", file.Interface, "address", file.Address, "dhcp", file.DHCP.Mode,
		"version", file.Version, "machines", len(file.Machines))
	<-ctx.Done()
	supervisor.Stopping()
	work.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	log.Info("provisiond ends")
	return nil
}
