package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/image/manifest"
	"weir/qemu/netns"
	"weir/qemu/topology"
	"weir/qemu/vm"
	"weir/services/config"
	"weir/services/identity"
)

// Modes of provisiond's DHCP (config.ProvisionDHCP).
const (
	BesideForeign = "proxy"
	Alone         = "server"
)

const (
	provisiondName = "provisiond"
	foreignName    = "dnsmasq"
	foreignSpace   = "weir-dhcp" // the machine with somebody else's DHCP server
)

// Provision starts provisiond on the controller, alone or beside somebody else's
// DHCP server, with an entry for a node that is a machine, and nothing known of
// earlier ones.
func (l *Lab) Provision(ctx context.Context, mode string, n topology.Node) error {
	dir := l.machineDir(topology.ControllerID)
	state := filepath.Join(dir, "provisiond-state")
	if err := errors.Join(os.RemoveAll(state), removeIfThere(filepath.Join(dir, provisiondName+".log"))); err != nil {
		return fmt.Errorf("prepare provisiond: %w", err)
	}
	image := filepath.Join(filepath.Dir(l.Dir), "image")
	m, err := manifest.Read(image)
	if err != nil {
		return err
	}
	images := filepath.Join(dir, "images")
	if err := errors.Join(os.RemoveAll(images), os.MkdirAll(images, 0o755), os.Symlink(image, filepath.Join(images, m.Version))); err != nil {
		return fmt.Errorf("prepare provisiond: %w", err)
	}
	certificate, err := l.issue(identity.Provisiond, topology.ControllerID, l.Top.ControllerControl.Addr())
	if err != nil {
		return err
	}
	node, err := l.Top.MachineYAML(n, "machine")
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "node.yaml.tmpl"), strings.Replace(node, "node: "+n.ID, "node: {{.id}}", 1)); err != nil {
		return err
	}
	k, ok := l.kind.(*empty)
	if !ok {
		return errors.New("this lab has no empty machines")
	}
	text := fmt.Sprintf(`interface: eth1
address: %v
authority: %s
cert: %s
key: %s
state_dir: %s
images: %s
version: %s
command_line: %q
template: node.yaml.tmpl
machines: [{id: %s, macs: ["%v"], install: %v}]
dhcp: %s
`, l.Top.ControllerControl.Addr(), l.pkiDir(), certificate.Cert, certificate.Key, state, images, m.Version, vm.KernelWords(k.machines.accel), n.ID, n.MAC(topology.Control), k.install, l.dhcp(mode))
	if err := writeFile(filepath.Join(dir, "provisiond.yaml"), text); err != nil {
		return err
	}
	if mode == BesideForeign {
		if err := l.startForeign(); err != nil {
			return err
		}
	}
	return l.StartProvisiond(ctx)
}

// StartProvisiond starts provisiond with what it has and knows.
func (l *Lab) StartProvisiond(ctx context.Context) error {
	r, err := l.start(l.ourProgram(topology.ControllerID, provisiondName))
	if err != nil {
		return err
	}
	return waitFor(ctx, 10*time.Second, []*running{r}, func() error {
		_, err := Fetch(topology.ControllerName, netip.AddrPortFrom(l.Top.ControllerControl.Addr(), config.BootPort), "/boot.ipxe", time.Second)
		return err
	})
}

// dhcp is the section of provisiond.yaml.
func (l *Lab) dhcp(mode string) string {
	if mode == BesideForeign {
		return "{mode: proxy}"
	}
	first, last := l.lent()
	return fmt.Sprintf("{mode: server, prefix: %v, first: %v, last: %v}", l.Top.ControllerControl.Masked(), first, last)
}

// lent are the first and the last of the addresses of the control network that
// machines get before they have a configuration.
func (l *Lab) lent() (first, last netip.Addr) {
	b := l.Top.ControllerControl.Addr().As4()
	b[3] = 200
	first = netip.AddrFrom4(b)
	b[3] = 220
	return first, netip.AddrFrom4(b)
}

// startForeign starts dnsmasq on a machine of its own, which knows nothing of
// booting.
func (l *Lab) startForeign() error {
	if err := l.prepareDir(foreignName); err != nil {
		return err
	}
	if !netns.Exists(foreignSpace) {
		b := l.Top.ControllerControl.Addr().As4()
		b[3] = 3
		if err := errors.Join(addNamespace(foreignSpace, everywhere), plug(foreignSpace, "eth0", foreignName, controlLAN),
			netns.Address(foreignSpace, "eth0", netip.PrefixFrom(netip.AddrFrom4(b), l.Top.ControllerControl.Bits()))); err != nil {
			return err
		}
	}
	first, last := l.lent()
	_, err := l.start(program{machine: foreignName, name: foreignName, namespace: foreignSpace, argv: []string{"dnsmasq", "--keep-in-foreground",
		"--conf-file=/dev/null", "--port=0", "--interface=eth0", "--bind-interfaces", "--user=root", "--leasefile-ro", "--pid-file", "--no-ping",
		"--log-facility=-", fmt.Sprintf("--dhcp-range=%v,%v,1h", first, last)}})
	return err
}

// EndProvision ends provisiond and the foreign DHCP server.
func (l *Lab) EndProvision() error {
	return errors.Join(endPrograms(l.machineDir(foreignName)), l.EndProvisiond())
}

// EndProvisiond ends provisiond alone.
func (l *Lab) EndProvisiond() error {
	return endProgram(l.machineDir(topology.ControllerID), provisiondName)
}

// endProgram ends one program of a machine, if it runs.
func endProgram(dir, name string) error {
	path := filepath.Join(dir, name+".pid")
	var pids []int
	if pid := readPid(path); pid != 0 {
		pids = append(pids, pid)
	}
	return errors.Join(stopAll(pids, 3*time.Second), removeIfThere(path))
}

// ProvisionedMachine is what weirctl machine list tells of one.
type ProvisionedMachine struct {
	State, ID, Matches, Fingerprint string
	MACs                            []string
	Boot                            MachineBoot
}

// MachineBoot is what it boots.
type MachineBoot struct {
	Committed, Trial, Failed string
	Installed                bool
}

// Machines asks provisiond, as an operator does.
func (l *Lab) Machines(ctx context.Context) ([]ProvisionedMachine, error) {
	out, err := l.WeirctlMachine(ctx, "list", "-o", "json")
	if err != nil {
		return nil, err
	}
	var list []ProvisionedMachine
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("understand weirctl machine list: %w: %s", err, out)
	}
	return list, nil
}

// WeirctlMachine runs weirctl machine on the controller.
func (l *Lab) WeirctlMachine(ctx context.Context, args ...string) (string, error) {
	f := l.certificate(identity.Operator, operatorID)
	argv := append([]string{filepath.Join(l.Bin, "weirctl"), "machine"}, args...)
	return netns.Output(ctx, topology.ControllerName, append(argv, "--provision", l.Top.ControllerControl.Addr().String(), "--ca", f.CA, "--cert", f.Cert, "--key", f.Key)...)
}

// ConsoleText is what a machine's serial console showed since it was prepared.
func (l *Lab) ConsoleText(n topology.Node) (string, error) {
	k, ok := l.kind.(*empty)
	if !ok {
		return "", errors.New("this lab has no empty machines")
	}
	b, err := os.ReadFile(k.machines.machine(n).SerialLog())
	return string(bytes.ToValidUTF8(b, nil)), err
}
