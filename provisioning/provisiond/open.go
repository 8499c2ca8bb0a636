package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weir/provisioning/dhcpd"
	"weir/provisioning/enrol"
	"weir/provisioning/guard"
	"weir/provisioning/machines"
	"weir/provisioning/netboot"
	"weir/provisioning/store"
	"weir/provisioning/tftpd"
	"weir/provisioning/web"
	"weir/services/config"
	"weir/services/identity"
	"weir/services/program"
)

// provisiond is everything that is open.
type provisiond struct {
	log       *slog.Logger
	file      *config.Provisiond
	cluster   string
	authority *identity.Authority
	me        *identity.Identity
	store     *store.Store
	registry  *machines.Registry
	counters  *guard.Counters
	metrics   *prometheus.Registry
	programs  map[string][]byte
	service   netboot.Service
	services  map[string]func(context.Context) error
	closers   []io.Closer
}

// open reads what the file names, and opens every port. Whatever is missing is
// found here, before the first machine asks.
func open(log *slog.Logger, file *config.Provisiond) (_ *provisiond, err error) {
	p := &provisiond{log: log, file: file, services: map[string]func(context.Context) error{}, metrics: prometheus.NewRegistry(),
		service: netboot.Service{Address: file.Address, HTTP: web.Base(file.Address, file.HTTPPort)}}
	p.counters = guard.NewCounters(p.metrics)
	p.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if err := p.identity(); err != nil {
		return nil, program.ConfigError(err)
	}
	if err := p.machines(); err != nil {
		return nil, err
	}
	for _, open := range []func() error{p.openDHCP, p.openTFTP, p.openHTTP, p.openEnrol, p.openMetrics} {
		if err := open(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *provisiond) close() {
	for _, c := range p.closers {
		_ = c.Close() // of sockets whose services have ended, and of the database
	}
}

func (p *provisiond) identity() (err error) {
	if p.authority, err = identity.OpenAuthority(p.file.CA); err != nil {
		return err
	}
	p.me, err = identity.Load(identity.Files{CA: filepath.Join(p.file.CA, "ca.crt"), Cert: p.file.Cert, Key: p.file.Key})
	if err == nil && p.me.Name.Role != identity.Provisiond {
		err = fmt.Errorf("%s is of a %s; weirctl certs issue provisiond ID makes the right one", p.file.Cert, p.me.Name.Role)
	}
	p.cluster = p.authority.Cluster
	return err
}

// machines reads the entries, what was kept, and looks for the images.
func (p *provisiond) machines() error {
	entries, err := machines.Entries(p.file)
	if err != nil {
		return program.ConfigError(err)
	}
	for _, version := range p.versions() {
		if err := web.CheckImage(p.file.ImageDir(version)); err != nil {
			return program.ConfigError(fmt.Errorf("version %s: %w", version, err))
		}
	}
	for _, m := range p.file.Machines {
		if m.Role != config.RoleNode || !m.Install {
			continue
		}
		if err := web.CheckInstallable(p.file.ImageDir(m.Version)); err != nil {
			return program.ConfigError(fmt.Errorf("version %s, which %s installs: %w", m.Version, m.ID, err))
		}
	}
	if p.store, err = store.Open(p.file.StateDir); err != nil {
		return err
	}
	p.closers = append(p.closers, p.store)
	kept, err := p.store.Kept()
	if err != nil {
		return err
	}
	for name, b := range kept.Boots {
		if b.Committed != "" && web.CheckImage(p.file.ImageDir(b.Committed)) != nil {
			p.log.Warn("the image that a machine goes back to is missing; keep it until the new version is committed", "machine", name, "version", b.Committed)
		}
	}
	p.registry = machines.New(entries, p.file.Version, p.file.Validity, p.authority, p.store, kept)
	return p.writeRevoked()
}

func (p *provisiond) versions() []string {
	list := []string{p.file.Version}
	for _, m := range p.file.Machines {
		if m.Role == config.RoleNode && m.Version != p.file.Version {
			list = append(list, m.Version)
		}
	}
	return list
}

// RevokedFile is the list of revoked certificates in the state directory, for
// configd.
const RevokedFile = "revoked.crl"

func (p *provisiond) writeRevoked() error {
	der, err := p.authority.RevocationList(time.Now().UnixNano(), p.registry.RevokedCertificates())
	if err != nil {
		return err
	}
	path := filepath.Join(p.file.StateDir, RevokedFile)
	if err := os.WriteFile(path+".new", der, 0o644); err != nil {
		return fmt.Errorf("write the list of revoked certificates: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the list of revoked certificates: %w", err)
	}
	return nil
}

func (p *provisiond) openDHCP() error {
	if p.file.DHCP.Mode == config.DHCPOff {
		return nil
	}
	var decider dhcpd.Decider = dhcpd.Proxy{Proxy: netboot.Proxy{Service: p.service}}
	if d := p.file.DHCP; d.Mode == config.DHCPServer {
		kept, err := p.store.Leases(time.Now())
		if err != nil {
			return err
		}
		reserved := map[[6]byte]netip.Addr{}
		for _, r := range d.Reservations {
			mac, err := net.ParseMAC(r.MAC)
			if err != nil {
				return err // the file was checked
			}
			reserved[[6]byte(mac)] = r.Address
		}
		decider = &netboot.Server{Service: p.service, Network: netboot.Network{Prefix: d.Prefix.Prefix, Router: d.Router, DNS: d.DNS},
			Pool: netboot.NewPool(d.First, d.Last, d.Lease, reserved, kept)}
	}
	s := dhcpd.New(p.log, p.counters, decider, p.store)
	for _, port := range []int{netboot.ServerPort, netboot.BootPort} {
		c, err := dhcpd.Listen(p.file.Interface, port)
		if err != nil {
			return err
		}
		p.closers = append(p.closers, c)
		p.services[fmt.Sprintf("DHCP on port %d", port)] = func(ctx context.Context) error { return s.Serve(ctx, c, port) }
	}
	return nil
}

func (p *provisiond) openTFTP() (err error) {
	if p.programs, err = tftpd.Load(p.file.IPXE, netboot.FileBIOS, netboot.FileUEFI); err != nil {
		return err
	}
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.file.Address, tftpd.Port)))
	if err != nil {
		return fmt.Errorf("listen for TFTP: %w", err)
	}
	p.closers = append(p.closers, c)
	s := tftpd.New(p.log, p.counters, p.programs)
	p.services["TFTP"] = func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, s.Close)
		defer stop()
		return s.Serve(c)
	}
	return nil
}

func (p *provisiond) openHTTP() error {
	neighbours, err := web.NewKernel(p.file.Interface)
	if err != nil {
		return err
	}
	l, err := p.listen("tcp4", netip.AddrPortFrom(p.file.Address, p.file.HTTPPort).String())
	if err != nil {
		return err
	}
	s := &web.Server{Log: p.log, Counters: p.counters, Machines: p.registry, Neighbours: neighbours, Programs: p.programs,
		Images: p.file.ImageDir, Repository: p.file.Repository, Base: p.service.HTTP}
	s.Words = append(strings.Fields(p.file.CommandLine),
		"weir.enrol="+netip.AddrPortFrom(p.file.Address, p.file.EnrolPort).String(),
		"weir.enrol_ca="+identity.AuthorityFingerprint(p.authority.Certificate()))
	p.services["HTTP"] = func(ctx context.Context) error { return s.Serve(ctx, l) }
	return nil
}

func (p *provisiond) openEnrol() error {
	l, err := p.listen("tcp", fmt.Sprintf(":%d", p.file.EnrolPort))
	if err != nil {
		return err
	}
	s := &enrol.Service{Log: p.log, Counters: p.counters, Registry: p.registry, Authority: p.authority.Certificate(), Revoked: p.writeRevoked}
	p.services["enrolment"] = func(ctx context.Context) error { return s.Serve(ctx, p.me, l) }
	return nil
}

func (p *provisiond) openMetrics() error {
	l, err := p.listen("tcp", p.file.Metrics.String())
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(p.metrics, promhttp.HandlerOpts{}))
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	p.services["metrics"] = func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { h.Close() })
		defer stop()
		if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
	return nil
}

func (p *provisiond) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	p.closers = append(p.closers, l)
	return l, nil
}
