package lab

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"weir/qemu/netns"
	"weir/qemu/topology"
	"weir/qemu/vm"
)

// slotted nodes are machines that start from disks with two slots, through UEFI
// firmware, and take updates from a repository on the controller.
type slotted struct {
	*virtual
	releases Releases
}

// slottedMemory is for firmware that loads an image into memory first, in MiB.
const slottedMemory = 1024

// slottedFailureTime is longer than a machine waits for its turn while another one's
// firmware has a processor of two for itself.
const slottedFailureTime = 5 * time.Second

// NewSlotted describes a QEMU lab of such nodes.
func NewSlotted(top *topology.Topology, build string) *Lab {
	l := New(top, build)
	k := &slotted{virtual: &virtual{Lab: l}, releases: Releases{build: build}}
	k.change = func(m *vm.Machine) {
		m.Memory, m.Boot = slottedMemory, vm.Boot{Disk: true}
		m.Disks = []vm.Disk{{Path: filepath.Join(m.Dir, "disk.img"), Serial: "weir"}}
	}
	l.kind, top.FailureTime = k, slottedFailureTime
	return l
}

// patience has firmware in it, which is slow where processors are translated.
func (*slotted) patience() time.Duration { return 5 * time.Minute }

func (k *slotted) files() []string {
	return append(k.virtual.files(), k.image("weir.efi"), k.image("loader.efi"))
}

// settle makes the release that the nodes begin with, as their disk.
func (k *slotted) settle(ctx context.Context) error {
	if err := k.virtual.settle(ctx); err != nil {
		return err
	}
	k.say("making the disk of the nodes")
	k.releases.words = vm.KernelWords(k.accel)
	return k.releases.disk(ctx)
}

// gateOfSlotted is shorter than that of a node by default: hold, and the deadline.
const gateOfSlotted = "{hold: 10s, deadline: 8m}"

// prepare makes the node's disk, with where updates are in its configuration.
func (k *slotted) prepare(n topology.Node) error {
	if err := k.virtual.prepare(n); err != nil {
		return err
	}
	dir := k.machineDir(n.ID)
	path := filepath.Join(dir, "disk", "node.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("prepare %s: %w", n.ID, err)
	}
	more := fmt.Sprintf("updates: {repository: \"http://%v\", gate: %s}\n", k.repositoryAt(), gateOfSlotted)
	if err := writeFile(path, string(text)+more); err != nil {
		return err
	}
	return vm.SlotDisk(filepath.Join(dir, "disk.img"), k.releases.path("disk.img"), filepath.Join(dir, "disk"))
}

// repositoryPort is where the controller of a lab offers updates.
const repositoryPort = 8080

// repositoryAt is where nodes find updates.
func (l *Lab) repositoryAt() netip.AddrPort {
	return netip.AddrPortFrom(l.Top.ControllerControl.Addr(), repositoryPort)
}

// ServeReleases offers the releases to the nodes of a lab of NewSlotted until it is closed.
func (l *Lab) ServeReleases(r *Releases) (close func() error, err error) {
	listener, err := netns.Listen(topology.ControllerName, "tcp", l.repositoryAt().String())
	if err != nil {
		return nil, fmt.Errorf("offer updates: %w", err)
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(r.path("repository")))}
	go server.Serve(listener) // until it is closed
	return server.Close, nil
}

// Releases are the updates that a lab of NewSlotted has.
func (l *Lab) Releases() *Releases { return &l.kind.(*slotted).releases }
