package config

import (
	"path/filepath"
)

// Module is module.yaml: what the LB module of one server needs to know of itself.
type Module struct {
	Server      string        `yaml:"server" need:"yes"` // its id in the cluster file
	ClusterFile string        `yaml:"cluster_file"`      // relative to this file; absolute after loading
	Service     ConfigService `yaml:"config_service"`    // instead of a cluster file
	RunDir      string        `yaml:"run_dir"`           // admin socket
	StateDir    string        `yaml:"state_dir"`         // the last good configuration of the service
	BPFDir      string        `yaml:"bpf_dir"`           // where maps and links are pinned (S-26); empty: /sys/fs/bpf/weir-SERVER
	Interface   string        `yaml:"interface"`         // the module's own interface
	Uplink      string        `yaml:"uplink"`            // the interface towards the fabric; empty: the one that holds the server's address
	Cgroup      string        `yaml:"cgroup"`            // of the served program, whose quota is the measure (S-30); empty: the machine
	Capacity    Capacity      `yaml:"capacity"`
}

// Capacity is what 100 % utilisation means where the machine does not say (S-30).
type Capacity struct {
	Connections int `yaml:"connections"`    // established connections, also the size of the module's table
	Bandwidth   int `yaml:"bandwidth_mbps"` // in either direction, Mbit/s; 0: not judged
}

// Where a module is when its file does not say it.
const (
	ModuleRunDir    = "/run/weir"
	ModuleInterface = "weir0"
)

func (m *Module) defaults() {
	m.RunDir, m.StateDir, m.Interface = ModuleRunDir, "/var/lib/weir/lbmodule", ModuleInterface
	m.Capacity.defaults()
}

func (c *Capacity) defaults() { c.Connections = 262144 }

// AdminSocket is where the agent of this server listens.
func (m *Module) AdminSocket() string { return filepath.Join(m.RunDir, "lbmodule.sock") }

// LoadModule reads and validates a module.yaml. It does not read the cluster file.
func LoadModule(path string) (*Module, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	m, err := ParseModule(path, b)
	if err != nil {
		return nil, err
	}
	if m.ClusterFile != "" {
		m.ClusterFile = relativeTo(path, m.ClusterFile)
	}
	m.Service.resolve(path)
	m.RunDir = relativeTo(path, m.RunDir)
	m.StateDir = relativeTo(path, m.StateDir)
	return m, nil
}

// ParseModule validates the text of a module.yaml; file is its name in errors.
func ParseModule(file string, text []byte) (*Module, error) {
	m := &Module{}
	d := decode(file, text, m)
	if len(d.errs) == 0 {
		m.validate(d)
	}
	if err := d.errs.sorted(); err != nil {
		return nil, err
	}
	if m.BPFDir == "" {
		m.BPFDir = "/sys/fs/bpf/weir-" + m.Server
	}
	return m, nil
}

func (m *Module) validate(d *document) {
	d.id("server", m.Server)
	m.Service.validate(d, m.ClusterFile)
	d.notEmpty("run_dir", m.RunDir)
	d.notEmpty("state_dir", m.StateDir)
	d.interfaceName("interface", m.Interface)
	if m.Uplink != "" {
		d.interfaceName("uplink", m.Uplink)
		if m.Uplink == m.Interface {
			d.fail("uplink", "the module makes its own interface; name the existing one here", "is the same as interface")
		}
	}
	for _, dir := range []struct{ path, value string }{{"bpf_dir", m.BPFDir}, {"cgroup", m.Cgroup}} {
		if dir.value != "" && !filepath.IsAbs(dir.value) {
			d.fail(dir.path, "write a path that begins with /", "%q is not an absolute path", dir.value)
		}
	}
	d.within("capacity.connections", m.Capacity.Connections, 64, 1<<24)
	d.within("capacity.bandwidth_mbps", m.Capacity.Bandwidth, 0, 1<<20)
}
