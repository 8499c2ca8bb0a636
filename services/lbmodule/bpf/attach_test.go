package bpf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/dataplane/packet"
	"weir/qemu/netns"
	"weir/services/lbmodule/netdev"
)

// Names of this process's own: two runs at a time do not meet.
var (
	attachServer = fmt.Sprintf("mta-srv-%d", os.Getpid())
	attachFar    = fmt.Sprintf("mta-far-%d", os.Getpid())
	attachPins   = fmt.Sprintf("/sys/fs/bpf/mta-%d", os.Getpid())
)

// sniffer is a packet socket on an interface of a namespace.
func sniffer(t *testing.T, ns, name string) *os.File {
	t.Helper()
	var f *os.File
	err := netns.Do(ns, func() error {
		ifc, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		f = os.NewFile(uintptr(fd), name)
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: 0x0300, Ifindex: ifc.Index})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// tunnelled waits for a tunnel packet and returns what is inside.
func tunnelled(t *testing.T, f *os.File) (outer packet.Info, frame []byte) {
	t.Helper()
	if err := f.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2048)
	for {
		n, err := f.Read(b)
		if err != nil {
			t.Fatalf("no tunnel packet: %v", err)
		}
		if packet.Parse(b[:n], &outer) == packet.OK && outer.Proto == packet.ProtoUDP && outer.DstPort == 6080 {
			return outer, inner(t, b[:n])
		}
	}
}

// TestProgramsServeOnRealInterfaces attaches the programs in both ways that
// kernels have, and sends IPv6 in IPv4 in both ways that kernels need.
func TestProgramsServeOnRealInterfaces(t *testing.T) {
	sh := func(ns, script string) string {
		out, err := netns.Output(context.Background(), ns, "sh", "-ec", script)
		if err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
		return out
	}
	for name, tc := range map[string]struct {
		attach func(h *hook) error
		bounce bool
	}{
		"links":               {func(h *hook) error { return h.attachLink(attachPins) }, false},
		"filters":             {(*hook).attachFilter, false},
		"links with bounce":   {func(h *hook) error { return h.attachLink(attachPins) }, true},
		"filters with bounce": {(*hook).attachFilter, true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(attachPins, 0o700); err != nil {
				t.Fatal(err)
			}
			clean := func() error {
				return errors.Join(Unpin(attachPins), netns.Delete(attachServer), netns.Delete(attachFar))
			}
			t.Cleanup(func() {
				if err := errors.Join(clean(), os.Remove(attachPins)); err != nil {
					t.Error(err)
				}
			})
			if err := errors.Join(clean(), netns.Add(attachServer), netns.Add(attachFar)); err != nil {
				t.Fatal(err)
			}
			sh(attachServer, `ip link add eth0 type veth peer name far netns `+attachFar+`
				ip addr add 10.20.0.101/24 dev eth0; ip link set eth0 up
				ip neigh add 10.20.0.11 lladdr 02:00:00:00:00:11 dev eth0 nud permanent`)
			sh(attachFar, "ip link set far up")
			far := sniffer(t, attachFar, "far")
			var d *Data
			var fabric *net.Interface
			err := netns.Do(attachServer, func() (err error) {
				pair, err := netdev.Ensure(&netdev.Config{Name: "weir0", MTU: 1500})
				if err != nil {
					return err
				}
				if fabric, err = net.InterfaceByName("eth0"); err != nil {
					return err
				}
				s := &Settings{Server: server, FabricIndex: fabric.Index, OwnIndex: pair.Index, PeerIndex: pair.PeerIndex,
					OwnMAC: pair.MAC, MaxFlows: 16, BounceIPv6: tc.bounce}
				if d, err = Load(s, ""); err != nil {
					return err
				}
				for range 2 { // the second time exchanges programs
					for _, h := range d.hooks(s) {
						if err := tc.attach(&h); err != nil {
							return err
						}
					}
				}
				return nil
			})
			if err != nil {
				t.Fatalf("%+v", err)
			}
			defer d.Close()
			h := &harness{d, t}
			h.configure()
			own := sniffer(t, attachServer, "weir0")
			for family := range clients {
				h.put(family, flowOf(nil))
				if _, err := own.Write(fromServer(family, segment{seq: kernelISN + 5, flags: packet.ACK, payload: []byte("out")})); err != nil {
					t.Fatal(err)
				}
				outer, frame := tunnelled(t, far)
				in, _ := parse(t, frame)
				if in.Seq != serverISN+5 || outer.Src != server.As16() || outer.Dst != node.As16() {
					t.Errorf("%s: %+v in %+v", family, in, outer)
				}
				f := tunnel(node, fromClient(family, segment{seq: 9, ack: serverISN + 5, flags: packet.ACK, payload: []byte("in")}))
				mac, err := netns.MAC(attachServer, "eth0")
				if err != nil {
					t.Fatal(err)
				}
				copy(f, mac)
				if _, err := far.Write(f); err != nil {
					t.Fatal(err)
				}
				arrives(t, own, kernelISN+5)
			}
			if err := errors.Join(Unpin(attachPins), netns.Do(attachServer, func() error { return DetachFilters(fabric.Index) })); err != nil {
				t.Fatal(err)
			}
			left := sh(attachServer, "tc qdisc show dev eth0; bpftool net show dev eth0")
			if strings.Contains(left, "clsact") || strings.Contains(left, "weir") {
				t.Errorf("left on the fabric's interface: %s", left)
			}
		})
	}
}

// arrives waits for a client's segment with this acknowledgement on weir0.
func arrives(t *testing.T, own *os.File, ack uint32) {
	t.Helper()
	if err := own.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2048)
	for {
		n, err := own.Read(b)
		if err != nil {
			t.Fatalf("nothing arrives on weir0: %v", err)
		}
		var in packet.Info
		if packet.Parse(b[:n], &in) == packet.OK && in.Proto == packet.ProtoTCP && in.SrcPort == 40000 && in.Ack == ack {
			return
		}
	}
}
