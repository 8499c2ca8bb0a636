package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/status"

	"weir/init/sysfs"
	"weir/provisioning/enrolclient"
	"weir/services/config"
	"weir/services/identity"
	"weir/services/program"
	"weir/services/version"
)

// enrolment is what "lbmodule enroll" was told.
type enrolment struct{ provision, authority string }

func (e *enrolment) flags(f *flag.FlagSet) {
	f.StringVar(&e.provision, "provision", "", "`ADDRESS` of provisiond, and its port if it is another than "+fmt.Sprint(config.EnrolPort))
	f.StringVar(&e.authority, "authority", "", "SHA-256 `FINGERPRINT` of the cluster's authority (openssl x509 -in ca.crt -noout -fingerprint -sha256)")
}

// machine is this server as it enrols: its identity is where the file says.
func (e *enrolment) machine(file *config.Module) (*enrolclient.Machine, error) {
	authority := strings.ToLower(strings.ReplaceAll(e.authority, ":", ""))
	switch {
	case e.provision == "" || authority == "":
		return nil, errors.New("name the provisioning service and its authority: lbmodule enroll --provision ADDRESS --authority FINGERPRINT")
	case !file.Service.InUse():
		return nil, errors.New("the configuration has no config_service: there is nothing that a certificate is for")
	}
	address := e.provision
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), fmt.Sprint(config.EnrolPort))
	}
	dir := filepath.Dir(file.Service.Key)
	if want := enrolclient.Files(dir); (identity.Files{CA: file.Service.CA, Cert: file.Service.Cert, Key: file.Service.Key}) != want {
		return nil, fmt.Errorf("config_service names other files than enroll writes; set ca: %s, cert: %s, key: %s", want.CA, want.Cert, want.Key)
	}
	var macs []string
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("look for this server's MAC addresses: %w", err)
	}
	for _, i := range all {
		if _, err := os.Stat(filepath.Join("/sys/class/net", i.Name, "device")); err == nil { // not of the kernel's own making
			macs = append(macs, i.HardwareAddr.String())
		}
	}
	return &enrolclient.Machine{Dir: dir, Address: address, Fingerprint: authority, Version: version.Version,
		Hardware: enrolclient.Hardware(macs, sysfs.Text("/sys/class/dmi/id/product_serial"), strings.ToLower(sysfs.Text("/sys/class/dmi/id/product_uuid")))}, nil
}

// enroll has the server wait until an operator approves it.
func (e *enrolment) enroll(path string) error {
	file, err := config.LoadModule(path)
	if err != nil {
		return err
	}
	m, err := e.machine(file)
	if err != nil {
		return program.ConfigError(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	said := ""
	member, err := m.Join(ctx, func(fingerprint string, err error) {
		line := fmt.Sprintf("waiting for approval; the fingerprint of this server's key is %s; weirctl machine approve %s --as server/%s", fingerprint, fingerprint[:16], file.Server)
		if err != nil {
			line = "provisiond at " + m.Address + ": " + status.Convert(err).Message()
		}
		if line != said {
			said = line
			fmt.Fprintln(os.Stderr, line)
		}
	})
	if err != nil {
		return err
	}
	if n := member.Me.Name; n.Role != identity.Server || n.ID != file.Server {
		return program.ConfigError(fmt.Errorf("this machine was approved as %s, and %s says server %s; revoke it, or correct the file", n, path, file.Server))
	}
	fmt.Printf("this is %s; its certificate is %s\n", member.Me.Name, file.Service.Cert)
	return nil
}

// keepCertificate renews the certificate of a server that was enrolled, until ctx
// ends. One that an operator made is the operator's to renew.
func keepCertificate(ctx context.Context, log *slog.Logger, file *config.Module) {
	if !file.Service.InUse() {
		return
	}
	m, err := enrolclient.Recall(filepath.Dir(file.Service.Key), version.Version)
	if err != nil {
		return
	}
	(&enrolclient.Keeper{Log: log, Machine: m, Every: enrolclient.LookEvery, Now: time.Now}).Run(ctx)
}
