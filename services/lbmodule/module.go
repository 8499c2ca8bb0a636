package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cilium/ebpf/ringbuf"

	"weir/dataplane/wire"
	"weir/services/config"
	"weir/services/confsource"
	"weir/services/lbmodule/admission"
	"weir/services/lbmodule/agent"
	"weir/services/lbmodule/bpf"
	"weir/services/lbmodule/diag"
	"weir/services/lbmodule/netdev"
	"weir/services/lbmodule/usage"
	"weir/services/program"
)

// module is the running program.
type module struct {
	log      *slog.Logger
	file     *config.Module
	source   *confsource.Source
	settings *settings // in force; the loop changes it
	boot     uint64
	uplink   string // name of the interface towards the fabric
	super    *program.Supervisor
	serving  atomic.Bool // before, there is no loop
	data     *bpf.Data
	core     *agent.Core
	control  *admission.Controller
	loop     *loop
	out      *output
	strays   *ringbuf.Reader

	destroyed *diag.Events
	ctx       context.Context
	cleanup   []func()
}

// run is the program from reading its files to its last goodbye. What it made
// in the kernel stays for the next one, unless it fails before it serves.
func run(ctx context.Context, log *slog.Logger, path string) (err error) {
	file, err := config.LoadModule(path)
	if err != nil {
		return program.ConfigError(err)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("root is needed to load eBPF programs; run lbmodule as root")
	}
	boot, err := bootID(file.Server)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	m := &module{log: log, file: file, ctx: ctx, boot: boot, super: program.NewSupervisor(log)}
	defer m.close()
	defer cancel()
	lock, err := program.LockRunDir(file.RunDir, "lbmodule")
	if err != nil {
		return err
	}
	m.onClose(lock.Close)
	// SIGHUP has a cluster file read anew; the service tells of changes by itself,
	// and then nobody else listens to a signal that would end the program.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	go m.super.Watchdog(ctx, m.alive)
	go keepCertificate(ctx, log, file)
	first, err := m.openSource()
	if ctx.Err() != nil {
		return nil // told to stop while it waited
	}
	if err != nil {
		return err
	}
	failed, err := m.start()
	m.source.InForce(first, err)
	if err != nil {
		return err
	}
	s := m.settings
	m.serving.Store(true)
	m.super.Ready(fmt.Sprintf("serves %s of cluster %s", s.server.ID, s.cluster.Identity.Name))
	log.Info("lbmodule is ready", "server", s.server.ID, "address", s.server.Address, "cluster", s.cluster.Identity.Name, "admin", s.file.AdminSocket())
	go m.watch()
	go func() {
		m.loop.run(ctx)
		failed <- nil
	}()
	if err := <-failed; err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	m.super.Stopping()
	log.Info("lbmodule ends; its data path stays")
	return nil
}

// alive is the watchdog's question: does the loop come round?
func (m *module) alive(ctx context.Context) error {
	if m.serving.Load() && !m.loop.call(ctx, func() {}) {
		return errors.New("the loop does not come round")
	}
	return nil
}

// bootID is the boot id of this server's module: connections are in the kernel,
// so it changes with the kernel's and not with the agent's (S-26).
func bootID(server string) (uint64, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return 0, fmt.Errorf("read the kernel's boot id: %w", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s", bytes.TrimSpace(b), server))
	return max(1, binary.BigEndian.Uint64(sum[:])), nil
}

// onClose has close called at the end of the program, last first.
func (m *module) onClose(close func() error) {
	m.cleanup = append(m.cleanup, func() { _ = close() })
}

func (m *module) close() {
	for i := len(m.cleanup) - 1; i >= 0; i-- {
		m.cleanup[i]()
	}
}

// start takes ports and sockets first, then touches the kernel, so that what is
// taken by others fails before anything has changed.
func (m *module) start() (failed chan error, err error) {
	s := m.settings
	up, err := uplink(s.file.Uplink, s.server.Address)
	if err != nil {
		return nil, err
	}
	m.out = &output{log: m.log}
	for _, c := range []struct {
		to   **net.UDPConn
		port uint16
	}{{&m.out.control, wire.PortTracker}, {&m.out.lists, wire.PortPing}} {
		conn, err := listenControl(s.server.Address, c.port)
		if err != nil {
			return nil, err
		}
		m.onClose(conn.Close)
		*c.to = conn
	}
	health, err := listenHealth(s.server.Address)
	if err != nil {
		return nil, err
	}
	m.onClose(health.Close)
	admin, err := program.ListenUnix(s.file.AdminSocket())
	if err != nil {
		return nil, err
	}
	m.onClose(admin.Close)
	cpu, err := usage.OpenCPU(s.file.Cgroup)
	if err != nil {
		return nil, err
	}
	if err := m.startDataPath(up, cpu); err != nil {
		return nil, err
	}
	failed = make(chan error, 4)
	m.read(failed)
	serve(health, m.healthHandler(), failed, m)
	serve(admin, m.adminHandler(), failed, m)
	return failed, nil
}

func serve(l net.Listener, h http.Handler, failed chan<- error, m *module) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go func() { failed <- s.Serve(l) }()
	m.onClose(s.Close)
}

// startDataPath makes interface, maps and programs, or takes over those of an
// earlier agent. If it fails, what it made is removed again.
func (m *module) startDataPath(up *net.Interface, cpu usage.CPU) (err error) {
	s := m.settings
	former, err := s.former()
	if err != nil {
		return err
	}
	if err := makePinDir(s.file.BPFDir); err != nil {
		return err
	}
	fresh := !netdev.Exists(s.file.Interface)
	defer func() {
		if err != nil && fresh {
			_ = remove(s.file.Interface, s.file.BPFDir, up.Index) // the first error is the one to tell
		}
	}()
	if fresh {
		// Pins without an interface are of an earlier boot or namespace; their connections are gone.
		if err := bpf.Unpin(s.file.BPFDir); err != nil {
			return err
		}
	}
	m.uplink = up.Name
	cfg := s.agentConfig(m.boot)
	pair, err := netdev.Ensure(&netdev.Config{Name: s.file.Interface, MTU: s.cluster.FabricMTU, Addresses: vips(cfg.Endpoints), Mark: m.mark()})
	if err != nil {
		return err
	}
	bounce, err := bpf.NeedsBounce()
	if err != nil {
		return err
	}
	place := &bpf.Settings{
		Server: s.server.Address, FabricIndex: up.Index, OwnIndex: pair.Index, PeerIndex: pair.PeerIndex, OwnMAC: pair.MAC,
		MaxFlows: s.file.Capacity.Connections, StraysPerSlice: straysPerSlice, BounceIPv6: bounce,
	}
	if m.data, err = bpf.Load(place, s.file.BPFDir); err != nil {
		return err
	}
	m.onClose(m.data.Close)
	m.out.data = m.data
	if err := m.data.Configure(cfg.Nodes, cfg.Endpoints); err != nil {
		return err
	}
	strays, err := m.data.Strays()
	if err != nil {
		return err
	}
	m.onClose(strays.Close)
	if m.out.packet, err = openPacket(pair.PeerIndex, pair.MAC); err != nil {
		return err
	}
	m.onClose(m.out.packet.Close)
	sockets, err := diag.Open()
	if err != nil {
		return err
	}
	m.onClose(sockets.Close)
	if m.destroyed, err = diag.OpenEvents(); err != nil {
		return err
	}
	m.onClose(m.destroyed.Close)
	m.startCore(cfg, sockets, cpu, up.Index)
	if err := m.data.Attach(place, s.file.BPFDir); err != nil {
		return err
	}
	if err := m.leave(former); err != nil {
		return err
	}
	m.strays = strays
	return nil
}

// straysPerSlice bounds reports of packets without a flow, per CPU and 16.8 ms.
const straysPerSlice = 64

func (m *module) startCore(cfg *agent.Config, sockets *diag.Conn, cpu usage.CPU, uplink int) {
	s := m.settings
	m.control = admission.New(s.curve(), mathrand.New(mathrand.NewPCG(m.boot, uint64(monotonic()))))
	m.core = agent.New(cfg, m.out, m.data.Flows(), sockets, m.control)
	m.core.Recover(monotonic())
	m.core.SetDraining(m.drainMarked())
	m.loop = newLoop(m.log)
	m.loop.core = m.core
	m.loop.sampler = &sampler{
		log: m.log, interval: s.cluster.Admission.Interval, control: m.control,
		accepted: func() uint64 { c := m.core.Counters(); return c.Accepted },
		last:     0, cpu: cpu, uplink: uplink, bandwidth: float64(s.file.Capacity.Bandwidth) * 1e6 / 8,
		connections: s.file.Capacity.Connections, sockets: sockets, endpoints: cfg.Endpoints,
	}
	m.loop.sampler.sample(monotonic(), m.core.Established())
}

// read starts the readers. Each ends when its socket closes, which the end of
// the program does.
func (m *module) read(failed chan<- error) {
	go readDatagrams(m.out.control, m.loop.messages)
	go readDatagrams(m.out.lists, m.loop.messages)
	go readStrays(m.strays, m.loop.strays)
	go readDestroyed(m.destroyed, m.loop.ended)
	go func() {
		if err := readFrames(m.out.packet, m.loop.frames); err != nil {
			failed <- err
		}
	}()
}
