package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"time"
)

// Provisiond is provisiond.yaml: what boots machines over the network and
// enrols them (S-105). The cluster is named by its authority.
type Provisiond struct {
	Interface   string             `yaml:"interface" need:"yes"` // on the provisioning network
	Address     netip.Addr         `yaml:"address" need:"yes"`   // of this machine there (IPv4)
	HTTPPort    uint16             `yaml:"http_port"`            // TCP
	EnrolPort   uint16             `yaml:"enrol_port"`           // TCP, gRPC over TLS, on all addresses
	Metrics     netip.AddrPort     `yaml:"metrics"`              // HTTP; not for the provisioning network
	StateDir    string             `yaml:"state_dir"`
	CA          string             `yaml:"authority" need:"yes"` // folder of ca.crt and ca.key
	Cert        string             `yaml:"cert" need:"yes"`
	Key         string             `yaml:"key" need:"yes"`
	Validity    time.Duration      `yaml:"certificate_validity"` // of machines' certificates
	Images      string             `yaml:"images" need:"yes"`    // folder with a folder per version
	Repository  string             `yaml:"repository"`           // folder of signed updates; empty: none is served
	IPXE        string             `yaml:"ipxe"`                 // folder of iPXE's programs
	DHCP        ProvisionDHCP      `yaml:"dhcp"`
	Version     string             `yaml:"version" need:"yes"` // that machines boot
	CommandLine string             `yaml:"command_line"`       // words for the kernel beside those of the image
	Template    string             `yaml:"template"`           // of node.yaml
	Machines    []ProvisionMachine `yaml:"machines"`

	file  string // that it was read from, and the lines of its paths, for Fault
	lines map[string]int
}

// ProvisionDHCP says how machines find the boot service.
type ProvisionDHCP struct {
	Mode         string            `yaml:"mode"` // DHCPProxy, DHCPServer or DHCPOff
	Prefix       Prefix            `yaml:"prefix"`
	First        netip.Addr        `yaml:"first"` // of the pool
	Last         netip.Addr        `yaml:"last"`
	Router       netip.Addr        `yaml:"router"`
	DNS          []netip.Addr      `yaml:"dns"`
	Lease        time.Duration     `yaml:"lease"`
	Reservations []DHCPReservation `yaml:"reservations"`
}

// DHCPReservation is an address for one MAC address only.
type DHCPReservation struct {
	MAC     string     `yaml:"mac" need:"yes"`
	Address netip.Addr `yaml:"address" need:"yes"`
}

// ProvisionMachine is one machine: how it is known, and what it becomes.
type ProvisionMachine struct {
	ID        string   `yaml:"id" need:"yes"` // of the node or server in the cluster file
	Role      string   `yaml:"role"`          // RoleNode or RoleServer
	MACs      []string `yaml:"macs"`
	Serial    string   `yaml:"serial"`
	UUID      string   `yaml:"uuid"`
	Version   string   `yaml:"version"`   // empty: the common one
	Template  string   `yaml:"template"`  // empty: the common one
	Values    []Value  `yaml:"values"`    // for the template
	Addresses []string `yaml:"addresses"` // names and addresses in its certificate, beside its node.yaml's
	Install   bool     `yaml:"install"`   // to its disk
}

// Value is a name and what stands for it in a template.
type Value struct {
	Name  string `yaml:"name" need:"yes"`
	Value string `yaml:"value" need:"yes"`
}

// Values of ProvisionDHCP.Mode and ProvisionMachine.Role.
const (
	DHCPProxy  = "proxy"  // beside somebody else's DHCP server
	DHCPServer = "server" // it is the DHCP server
	DHCPOff    = "off"    // somebody else's DHCP server names the boot file
	RoleNode   = "node"
	RoleServer = "server"
)

// Ports of provisiond.
const (
	EnrolPort     = 6093
	BootPort      = 6094
	provisionPort = 9101 // metrics
)

// MaxMachines bounds the machines in one file, MaxPool the addresses in a pool.
const (
	MaxMachines = 10000
	MaxPool     = 1 << 16
)

func (p *Provisiond) defaults() {
	p.HTTPPort, p.EnrolPort = BootPort, EnrolPort
	p.Metrics = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), provisionPort)
	p.StateDir, p.IPXE = "/var/lib/weir/provisiond", "/usr/lib/ipxe"
	p.Validity = 365 * 24 * time.Hour
	p.DHCP.defaults()
}

func (d *ProvisionDHCP) defaults() { d.Mode, d.Lease = DHCPProxy, time.Hour }

func (m *ProvisionMachine) defaults() { m.Role = RoleNode }

// LoadProvisiond reads and validates a provisiond.yaml. It does not read the
// templates.
func LoadProvisiond(path string) (*Provisiond, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	p, err := ParseProvisiond(path, b)
	if err != nil {
		return nil, err
	}
	for _, f := range []*string{&p.StateDir, &p.CA, &p.Cert, &p.Key, &p.Images, &p.Repository, &p.IPXE, &p.Template} {
		if *f != "" {
			*f = relativeTo(path, *f)
		}
	}
	for i := range p.Machines {
		m := &p.Machines[i]
		if m.Version == "" {
			m.Version = p.Version
		}
		switch {
		case m.Template != "":
			m.Template = relativeTo(path, m.Template)
		case m.Role == RoleNode:
			m.Template = p.Template
		}
	}
	return p, nil
}

// ParseProvisiond validates the text of a provisiond.yaml; file is its name in errors.
func ParseProvisiond(file string, text []byte) (*Provisiond, error) {
	p := &Provisiond{}
	d := decode(file, text, p)
	if len(d.errs) == 0 {
		p.validate(d)
	}
	p.file, p.lines = file, d.lines
	if err := d.errs.sorted(); err != nil {
		return nil, err
	}
	return p, nil
}

// Fault is an error of what a machine's entry names or leads to.
func (p *Provisiond) Fault(machine int, key string, err error) error {
	path := fmt.Sprintf("machines[%d]", machine)
	line := p.lines[path]
	if l, ok := p.lines[path+"."+key]; ok {
		line = l
	}
	return Errors{{File: p.file, Line: line, Path: path + "." + key, Reason: err.Error()}}
}

// ImageDir is the folder of a version's image.
func (p *Provisiond) ImageDir(version string) string { return filepath.Join(p.Images, version) }
