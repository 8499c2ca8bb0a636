package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
)

// Node is node.yaml: what one LB node needs to know of itself. The programs
// dataplane, noded and updated read the same file.
type Node struct {
	Node        string         `yaml:"node" need:"yes"` // its id in the cluster file
	ClusterFile string         `yaml:"cluster_file"`    // relative to this file; absolute after loading
	Service     ConfigService  `yaml:"config_service"`  // instead of a cluster file
	RunDir      string         `yaml:"run_dir"`         // sockets
	StateDir    string         `yaml:"state_dir"`
	Dataplane   Dataplane      `yaml:"dataplane" need:"yes"`
	Metrics     netip.AddrPort `yaml:"metrics"` // invalid: the node's south address, port 9100
	BGP         NodeBGP        `yaml:"bgp"`
	Machine     *Machine       `yaml:"machine"` // of an appliance; nil: somebody else has set up NICs and kernel
	Updates     Updates        `yaml:"updates"` // of an appliance's image
}

// NodeBGP says how this node's speaker opens its sessions.
type NodeBGP struct {
	Interface string `yaml:"interface"` // carries the source addresses; empty: the north exception interface
}

// Dataplane is the packet processor's own part of node.yaml.
type Dataplane struct {
	FilePrefix string `yaml:"file_prefix"` // DPDK --file-prefix, one per process of a machine; empty: the node's id
	Memory     Size   `yaml:"memory"`      // hugepage memory
	Hugepages  bool   `yaml:"hugepages"`   // false: ordinary memory instead, slower
	North      NIC    `yaml:"north" need:"yes"`
	South      NIC    `yaml:"south" need:"yes"`
	Layout     Layout `yaml:"layout"`
	Idle       string `yaml:"idle"`      // IdleAdaptive or IdlePoll
	Flows      int    `yaml:"flows"`     // established flows per worker
	HalfOpen   int    `yaml:"half_open"` // half-open flows per worker (S-12)
	Held       int    `yaml:"held"`      // packets held per worker before their mapping is known (S-16)
}

// NIC is one side of the node.
type NIC struct {
	Device    string `yaml:"device" need:"yes"`    // "af_packet:north0", "pci:0000:00:03.0", or, for init to look up, "mac:52:54:00:12:34:56"
	Exception string `yaml:"exception" need:"yes"` // the persistent kernel interface with the node's addresses (S-85)
}

// SourceSuffix is behind the name of a node.yaml that init has written for the
// services: that file has the text as it came, with NICs as the operator names
// them. A card may be in another place at the next boot.
const SourceSuffix = ".source"

// Kinds of NIC.Device, before its first colon.
const (
	DeviceAFPacket = "af_packet"
	DevicePCI      = "pci"
)

// Kind is the part of Device before its first colon, Name the rest.
func (n NIC) Kind() string { k, _, _ := strings.Cut(n.Device, ":"); return k }

// Name is the interface name or PCI address.
func (n NIC) Name() string { _, name, _ := strings.Cut(n.Device, ":"); return name }

// Layout says which cores do what (S-81).
type Layout struct {
	Mode    string `yaml:"mode"`    // LayoutSingle or LayoutPipeline
	RX      []int  `yaml:"rx"`      // pipeline: receive cores, north and south
	TX      []int  `yaml:"tx"`      // pipeline: transmit cores, north and south
	Workers []int  `yaml:"workers"` // pipeline: worker cores; single: the one core, or empty for any
}

// Values of Layout.Mode and Dataplane.Idle.
const (
	LayoutSingle   = "single"
	LayoutPipeline = "pipeline"
	IdleAdaptive   = "adaptive"
	IdlePoll       = "poll"
)

// MaxHalfOpen bounds half-open flows per worker (S-12).
const MaxHalfOpen = 65536

func (n *Node) defaults() {
	n.RunDir, n.StateDir = "/run/weir", "/var/lib/weir"
	n.Updates.defaults()
}

func (p *Dataplane) defaults() {
	p.Memory, p.Hugepages, p.Idle, p.Layout.Mode = 64<<20, true, IdleAdaptive, LayoutSingle
	p.Flows, p.HalfOpen, p.Held = 262144, MaxHalfOpen, 4096
}

func (l *Layout) defaults() { l.Mode = LayoutSingle }

// DataplaneSocket is where the dataplane of this node listens.
func (n *Node) DataplaneSocket() string { return filepath.Join(n.RunDir, "dataplane.sock") }

// AdminSocket is where noded of this node listens.
func (n *Node) AdminSocket() string { return filepath.Join(n.RunDir, "noded.sock") }

// UpdateSocket is where updated of this node listens.
func (n *Node) UpdateSocket() string { return filepath.Join(n.RunDir, "updated.sock") }

// LoadNode reads and validates a node.yaml. It does not read the cluster file.
func LoadNode(path string) (*Node, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	n, err := ParseNode(path, b)
	if err != nil {
		return nil, err
	}
	if n.ClusterFile != "" {
		n.ClusterFile = relativeTo(path, n.ClusterFile)
	}
	n.Service.resolve(path)
	n.RunDir = relativeTo(path, n.RunDir)
	n.StateDir = relativeTo(path, n.StateDir)
	return n, nil
}

// relativeTo resolves a path of a configuration file against the file's folder.
func relativeTo(file, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	abs, err := filepath.Abs(filepath.Join(filepath.Dir(file), path))
	if err != nil {
		return path
	}
	return abs
}

// ParseNode validates the text of a node.yaml; file is its name in errors.
func ParseNode(file string, text []byte) (*Node, error) {
	n := &Node{}
	d := decode(file, text, n)
	if len(d.errs) == 0 {
		n.validate(d)
	}
	if err := d.errs.sorted(); err != nil {
		return nil, err
	}
	if n.Dataplane.FilePrefix == "" {
		n.Dataplane.FilePrefix = n.Node
	}
	if n.BGP.Interface == "" {
		n.BGP.Interface = n.Dataplane.North.Exception
	}
	return n, nil
}

func (n *Node) validate(d *document) {
	d.id("node", n.Node)
	n.Service.validate(d, n.ClusterFile)
	d.notEmpty("run_dir", n.RunDir)
	d.notEmpty("state_dir", n.StateDir)
	p := &n.Dataplane
	if p.FilePrefix != "" {
		d.id("dataplane.file_prefix", p.FilePrefix)
	}
	if p.Memory < 16<<20 || p.Memory%(2<<20) != 0 {
		d.fail("dataplane.memory", "write a multiple of 2MiB, 16MiB or more", "%s is not a usable amount of hugepage memory", p.Memory)
	}
	p.North.validate(d, "dataplane.north")
	p.South.validate(d, "dataplane.south")
	if p.North.Device == p.South.Device {
		d.fail("dataplane.south.device", "give each side its own", "is the same device as north")
	}
	if p.North.Exception == p.South.Exception {
		d.fail("dataplane.south.exception", "give each side its own", "is the same interface as north")
	}
	p.Layout.validate(d, "dataplane.layout")
	d.oneOf("dataplane.idle", p.Idle, IdleAdaptive, IdlePoll)
	d.within("dataplane.flows", p.Flows, 1024, 1<<26)
	d.within("dataplane.half_open", p.HalfOpen, 64, MaxHalfOpen)
	d.within("dataplane.held", p.Held, 64, 1<<20)
	if n.BGP.Interface != "" {
		d.interfaceName("bgp.interface", n.BGP.Interface)
	}
	n.validateMachine(d)
	n.Updates.validate(d)
}

var pciAddress = form(`^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)

func (n *NIC) validate(d *document, path string) {
	d.interfaceName(path+".exception", n.Exception)
	switch n.Kind() {
	case DeviceAFPacket:
		d.interfaceName(path+".device", n.Name())
	default:
		d.checkDevice(path+".device", n.Device)
	}
}

func (l *Layout) validate(d *document, path string) {
	d.oneOf(path+".mode", l.Mode, LayoutSingle, LayoutPipeline)
	seen := map[int]string{}
	for _, part := range []struct {
		name  string
		cores []int
	}{{"rx", l.RX}, {"tx", l.TX}, {"workers", l.Workers}} {
		for i, c := range part.cores {
			at := fmt.Sprintf("%s.%s[%d]", path, part.name, i)
			d.within(at, c, 0, 1023)
			if first, ok := seen[c]; ok {
				d.fail(at, "give every stage its own core", "core %d is already in %s", c, first)
			}
			seen[c] = part.name
		}
	}
	switch l.Mode {
	case LayoutSingle:
		if len(l.RX)+len(l.TX) > 0 {
			d.fail(path, "remove rx and tx, or use mode pipeline", "mode single runs all stages on one core")
		}
		if len(l.Workers) > 1 {
			d.fail(path+".workers", "name one core, or use mode pipeline", "mode single has one worker")
		}
	case LayoutPipeline:
		if len(l.RX) < 1 || len(l.RX) > 2 || len(l.TX) < 1 || len(l.TX) > 2 {
			d.fail(path, "name one core for both sides, or one per side, in rx and in tx", "mode pipeline needs receive and transmit cores")
		}
		if len(l.Workers) < 1 || len(l.Workers) > 64 {
			d.fail(path+".workers", "name 1 to 64 cores", "mode pipeline needs worker cores")
		}
	}
}
