package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"weir/qemu/topology"
	"weir/qemu/vm"
)

// empty labs have the nodes of the namespace lab, and on the same networks room for
// machines of QEMU that have nothing but a marked disk, and a NIC on the control
// network to boot from.
type empty struct {
	native
	machines *virtual
	natives  int
	install  bool // the image onto the machines' disks, which are large enough
	tpm      bool // machines have one, and no disk
}

// NewEmpty describes such a lab: the nodes of the topology are native, those that
// AddNode adds are machines.
func NewEmpty(top *topology.Topology, build string) *Lab {
	l := New(top, build)
	l.kind = &empty{native: native{l}, machines: &virtual{Lab: l}, natives: len(top.Nodes)}
	top.FailureTime = virtualFailureTime
	return l
}

// emptyMemory is for firmware that loads an image into memory first, in MiB.
const emptyMemory = 1024

// installDisk has room for the image and state, in MiB.
const installDisk = 768

// tpmName is the program that is a machine's TPM.
const tpmName = "swtpm"

// TPMMachines gives machines a TPM and no disk from now on.
func (l *Lab) TPMMachines() { l.kind.(*empty).tpm = true }

func (k *empty) tpmSocket(id string) string { return filepath.Join(k.machineDir(id), "tpm.sock") }

// tpmProgram is a machine's TPM, whose state outlives its power.
func (k *empty) tpmProgram(n topology.Node) (program, error) {
	dir := filepath.Join(k.machineDir(n.ID), "tpm")
	if err := errors.Join(os.MkdirAll(dir, 0o700), removeIfThere(k.tpmSocket(n.ID))); err != nil {
		return program{}, fmt.Errorf("prepare the TPM of %s: %w", n.ID, err)
	}
	return program{machine: n.ID, name: tpmName, namespace: topology.FabricName, argv: []string{"swtpm", "socket", "--tpm2",
		"--tpmstate", "dir=" + dir, "--ctrl", "type=unixio,path=" + k.tpmSocket(n.ID)}}, nil
}

// awaitTPM waits until the TPM can be used.
func (k *empty) awaitTPM(n topology.Node) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(k.tpmSocket(n.ID)); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the TPM of %s makes no socket: see %s", n.ID, filepath.Join(k.machineDir(n.ID), tpmName+".log"))
		}
	}
}

// InstallMachines has provisiond want the image on the disks of machines from now on.
func (l *Lab) InstallMachines() { l.kind.(*empty).install = true }

func (k *empty) isMachine(n topology.Node) bool { return n.Number > k.natives }

func (k *empty) patience() time.Duration          { return k.machines.patience() }
func (k *empty) callTimeout() time.Duration       { return k.machines.callTimeout() }
func (k *empty) files() []string                  { return append(k.native.files(), k.machines.files()...) }
func (k *empty) settle(ctx context.Context) error { return k.machines.settle(ctx) }
func (k *empty) buildNetwork() error              { return k.machines.buildNetwork() }

func (k *empty) of(n topology.Node) kind {
	if k.isMachine(n) {
		return k.machines
	}
	return k.native
}

func (k *empty) wire(n topology.Node) error   { return k.of(n).wire(n) }
func (k *empty) unwire(n topology.Node) error { return k.of(n).unwire(n) }

// prepare gives a machine its disk, which has nothing but the mark.
func (k *empty) prepare(n topology.Node) error {
	if !k.isMachine(n) {
		return k.native.prepare(n)
	}
	dir := k.machineDir(n.ID)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("prepare %s: %w", n.ID, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("prepare %s: %w", n.ID, err)
	}
	size := stateDisk
	if k.install {
		size = installDisk
	}
	return vm.EmptyStateDisk(k.machines.diskPath(n), size)
}

func (k *empty) programs(id string) []string {
	if n, ok := k.node(id); ok && k.isMachine(n) {
		if k.tpm {
			return append([]string{tpmName}, k.machines.programs(id)...)
		}
		return k.machines.programs(id)
	}
	return k.native.programs(id)
}

func (k *empty) program(n topology.Node, name string) (program, error) {
	if name == tpmName {
		return k.tpmProgram(n)
	}
	if k.isMachine(n) && k.tpm {
		if err := k.awaitTPM(n); err != nil {
			return program{}, err
		}
	}
	return k.of(n).program(n, name)
}

func (k *empty) dial(n topology.Node) (*grpc.ClientConn, error) { return k.of(n).dial(n) }
func (k *empty) link(n topology.Node, side Side, up bool) error { return k.of(n).link(n, side, up) }
func (k *empty) describe(n topology.Node, info *NodeInfo)       { k.of(n).describe(n, info) }

// bootsFrom has machines boot over the network, with that firmware (see vm.Boot).
func (k *empty) bootsFrom(firmware string) {
	k.machines.change = func(m *vm.Machine) {
		m.Memory, m.Headless, m.Boot = emptyMemory, false, vm.Boot{Network: firmware}
		if k.tpm {
			m.TPM, m.Disks = k.tpmSocket(m.Name), nil
		}
		for i := range m.NICs {
			m.NICs[i].Boot = m.NICs[i].Name == controlLAN
		}
	}
}

// bootsWith has machines boot the image as a loader would that gives these words.
func (k *empty) bootsWith(words string) {
	k.machines.change = func(m *vm.Machine) { m.Boot.Cmdline += " " + words }
}
