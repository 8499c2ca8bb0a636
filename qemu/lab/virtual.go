package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"weir/image/manifest"
	"weir/qemu/netns"
	"weir/qemu/topology"
	"weir/qemu/vm"
	"weir/services/identity"
)

// virtual nodes are QEMU machines that boot the image. Their NICs are taps on
// the bridges of the fabric's namespace.
type virtual struct {
	*Lab
	// Known once settled.
	accel   string
	cmdline string // of the kernel
	// change makes another machine of a node's; nil: it is the usual one.
	change func(*vm.Machine)
}

// What a node's machine has. Two CPUs: the dataplane takes one for itself.
const (
	virtualCPUs   = 2
	virtualMemory = 768 // MiB

	virtualFailureTime = time.Second // see topology.Topology
	stateDisk          = 64          // MiB
)

// qemuName is the one program of such a node.
const qemuName = "qemu"

// adminPort is where a node's control plane listens (contract).
const adminPort = 6090

func (*virtual) name() string               { return kindQEMU }
func (*virtual) death() string              { return "loses its power" }
func (*virtual) hugepages() int             { return 0 }
func (*virtual) patience() time.Duration    { return 2 * time.Minute }
func (*virtual) story() story               { return story{requests: 1000, downloads: 2} }
func (*virtual) callTimeout() time.Duration { return 20 * time.Second }
func (*virtual) programs(string) []string   { return nodePrograms(kindQEMU) }

func (k *virtual) image(name string) string { return filepath.Join(filepath.Dir(k.Dir), "image", name) }

func (k *virtual) files() []string {
	return []string{k.image("vmlinuz"), k.image("initramfs.cpio.zst")}
}

func (k *virtual) settle(ctx context.Context) error {
	m, err := manifest.Read(k.image(""))
	if err != nil {
		return err
	}
	// The configuration is on the node's disk.
	k.cmdline = m.CommandLine + " weir.config=disk"
	k.accel, err = vm.Accelerate(ctx, filepath.Dir(k.Dir), k.image("vmlinuz"))
	return err
}

// buildNetwork makes the control network, with the controller on it.
func (k *virtual) buildNetwork() error {
	if err := netns.Bridge(topology.FabricName, controlLAN, topology.MTU); err != nil {
		return err
	}
	if err := plug(topology.ControllerName, "eth1", topology.ControllerID+"-c", controlLAN); err != nil {
		return err
	}
	return netns.Address(topology.ControllerName, "eth1", k.Top.ControllerControl)
}

func (k *virtual) sides(n topology.Node) []side {
	control := side{lan: controlLAN, port: n.ID + "-" + controlLAN, mac: n.MAC(topology.Control)}
	return append(sidesOf(n), control)
}

// wire makes the taps. Their own Ethernet addresses are of no importance, but
// must not be the machine's.
func (k *virtual) wire(n topology.Node) error {
	for i, side := range k.sides(n) {
		own := net.HardwareAddr{0x02, 'w', 't', 'p', byte(i), byte(n.Number)}
		if err := netns.Tap(topology.FabricName, side.port, own, topology.MTU); err != nil {
			return err
		}
		if err := netns.Enslave(topology.FabricName, side.port, side.lan); err != nil {
			return err
		}
	}
	return nil
}

func (k *virtual) unwire(n topology.Node) error {
	for _, side := range k.sides(n) {
		if err := netns.DeleteLink(topology.FabricName, side.port); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the node's disk as an installer would: with its configuration
// and its certificate on the state partition.
func (k *virtual) prepare(n topology.Node) error {
	dir := k.machineDir(n.ID)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("prepare %s: %w", n.ID, err)
	}
	contents := filepath.Join(dir, "disk")
	if err := os.MkdirAll(filepath.Join(contents, "identity"), 0o700); err != nil {
		return fmt.Errorf("prepare %s: %w", n.ID, err)
	}
	f, err := identity.Issue(k.pkiDir(), identity.Node, n.ID, []string{n.South.Addr().String(), n.Control.Addr().String()})
	if err != nil {
		return err
	}
	for from, to := range map[string]string{f.CA: "ca.crt", f.Cert: "node.crt", f.Key: "node.key"} {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(contents, "identity", to), text, 0o600)
		}
		if err != nil {
			return fmt.Errorf("prepare %s: %w", n.ID, err)
		}
	}
	text, err := k.Top.MachineYAML(n, "node")
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(contents, "node.yaml"), text); err != nil {
		return err
	}
	return vm.StateDisk(k.diskPath(n), stateDisk, contents)
}

func (k *virtual) diskPath(n topology.Node) string {
	return filepath.Join(k.machineDir(n.ID), "state.img")
}

// machine is the node's hardware.
func (k *virtual) machine(n topology.Node) *vm.Machine {
	m := &vm.Machine{
		Name: n.ID, Dir: k.machineDir(n.ID), CPUs: virtualCPUs, Memory: virtualMemory, IOMMU: true, Watchdog: true, CrashStore: true, Headless: true,
		UUID: fmt.Sprintf("77656972-0000-4000-8000-%012d", n.Number), Serial: "WEIR-" + n.ID,
		Boot:      vm.Boot{Kernel: k.image("vmlinuz"), Initrd: k.image("initramfs.cpio.zst"), Cmdline: k.cmdline},
		Disks:     []vm.Disk{{Path: k.diskPath(n), Serial: "state"}},
		Namespace: topology.FabricName,
	}
	for _, side := range k.sides(n) {
		m.NICs = append(m.NICs, vm.NIC{Name: side.lan, MAC: side.mac, Tap: side.port})
	}
	if k.change != nil {
		k.change(m)
	}
	return m
}

func (k *virtual) program(n topology.Node, name string) (program, error) {
	if k.accel == "" { // a lab that another program has started
		if err := k.settle(context.Background()); err != nil {
			return program{}, err
		}
	}
	m := k.machine(n)
	if err := m.Prepare(); err != nil {
		return program{}, err
	}
	return program{machine: n.ID, name: name, namespace: m.Namespace, argv: m.Argv(k.accel)}, nil
}

// dial calls the control plane from the controller, as an operator.
func (k *virtual) dial(n topology.Node) (*grpc.ClientConn, error) {
	me, err := identity.Load(k.certificate(identity.Operator, operatorID))
	if err != nil {
		return nil, err
	}
	dial := netns.Dialer(topology.ControllerName, net.Dialer{})
	conn, err := grpc.NewClient("passthrough:///"+k.admin(n),
		grpc.WithTransportCredentials(credentials.NewTLS(me.Client(identity.Node))),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return dial(ctx, "tcp", address) }))
	if err != nil {
		return nil, fmt.Errorf("reach noded of %s: %w", n.ID, err)
	}
	return conn, nil
}

func (k *virtual) admin(n topology.Node) string {
	return fmt.Sprintf("%v:%d", n.Control.Addr(), adminPort)
}

func (k *virtual) link(n topology.Node, side Side, up bool) error {
	return k.machine(n).Link(string(side), up)
}

func (k *virtual) describe(n topology.Node, info *NodeInfo) {
	info.Admin, info.Serial = k.admin(n), k.machine(n).SerialSocket()
}
