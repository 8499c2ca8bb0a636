package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"weir/provisioning/enrolclient"
	"weir/provisioning/rig"
	"weir/qemu/netns"
	"weir/services/api"
	"weir/services/identity"
)

const (
	script = "http://10.40.0.1:6094/script?mac=%M&uuid=&serial=&arch=x86_64"
	pxe    = "PXEClient:Arch:00007:UNDI:003016"
)

func scriptOf(mac string) string {
	return strings.Replace(script, "%M", strings.ReplaceAll(mac, ":", "-"), 1)
}

func TestBesideAForeignDHCPServerEveryFirmwareIsToldWhatToLoad(t *testing.T) {
	l := newLab(t)
	l.dnsmasq()
	l.provisiond("  mode: proxy\n")
	f := l.firmware("c1")
	for _, c := range []struct {
		name, class, user, file string
		arch                    iana.Arch
	}{
		{"BIOS", "PXEClient:Arch:00000:UNDI:002001", "", "undionly.kpxe", 0},
		{"UEFI", pxe, "", "snponly.efi", 7},
		{"UEFI HTTP boot", "HTTPClient:Arch:00016:UNDI:003016", "", "http://10.40.0.1:6094/ipxe/snponly.efi", 16},
		{"iPXE, BIOS", "PXEClient:Arch:00000:UNDI:002001", "iPXE", "http://10.40.0.1:6094/boot.ipxe", 0},
		{"iPXE, UEFI", pxe, "iPXE", "http://10.40.0.1:6094/boot.ipxe", 7},
	} {
		boot, address := split(f.discover(c.class, c.arch, c.user))
		if boot == nil || address == nil {
			t.Fatalf("%s: boot offer %v, address offer %v\n%s", c.name, boot, address, l.log)
		}
		if boot.BootFileName != c.file || !boot.YourIPAddr.IsUnspecified() || !address.ServerIdentifier().Equal(net.IPv4(10, 40, 0, 2)) {
			t.Errorf("%s: %s\n%s", c.name, boot.Summary(), address.Summary())
		}
	}
	if got := f.discover("PXEClient:Arch:00011:UNDI:003000", 11, ""); len(got) != 1 || !strings.Contains(l.log.String(), "no image for 64-bit ARM") {
		t.Errorf("ARM hears %d offers; the log:\n%s", len(got), l.log)
	}
	f.conn.Close()

	// A real client gets its address from the other server, undisturbed, and then
	// asks us on port 4011 as firmware does that ignores the offer.
	told := l.udhcpc("c1")
	if told["serverid"] != "10.40.0.2" {
		t.Fatalf("%v", told)
	}
	l.use("c1", told["ip"])
	f = l.firmware("c1")
	m, err := dhcpv4.NewInform(f.hw, net.ParseIP(told["ip"]), dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier(pxe)), dhcpv4.WithOption(dhcpv4.OptClientArch(7)))
	l.must(err)
	if got := f.ask(m, &net.UDPAddr{IP: net.IPv4(10, 40, 0, 1), Port: 4011}, time.Second); len(got) != 1 || got[0].MessageType() != dhcpv4.MessageTypeAck || got[0].BootFileName != "snponly.efi" {
		t.Errorf("on port 4011: %v", got)
	}
}

func TestAloneItIsTheDHCPServerAndAMachineBootsAndJoins(t *testing.T) {
	l := newLab(t)
	l.provisiond("  mode: server\n  prefix: 10.40.0.0/24\n  first: 10.40.0.100\n  last: 10.40.0.110\n  router: 10.40.0.1\n  reservations: [{mac: \"" + mac2 + "\", address: 10.40.0.77}]\n")
	told := l.udhcpc("c1", "-V", pxe, "-x", "0x5d:0007")
	if told["ip"] != "10.40.0.100" || told["boot_file"] != "snponly.efi" || told["siaddr"] != "10.40.0.1" || told["router"] != "10.40.0.1" || told["subnet"] != "255.255.255.0" {
		t.Fatalf("%v", told)
	}
	l.use("c1", told["ip"])
	if told := l.udhcpc("c2"); told["ip"] != "10.40.0.77" || told["boot_file"] != "" {
		t.Errorf("the other machine: %v", told)
	}
	l.use("c2", "10.40.0.77")

	l.loadsIPXE()
	if s, code := l.get("c1", "http://10.40.0.1:6094/boot.ipxe"); code != 200 || !strings.Contains(s, "${netX/mac:hexhyp}") {
		t.Errorf("%d, %s", code, s)
	}

	// Not approved: the image, but no configuration.
	s, at := l.script("c1")
	if !strings.Contains(s, "weir.enrol=10.40.0.1:6093 weir.enrol_ca=") || strings.Contains(s, "weir.config") || !strings.Contains(s, "panic=10 quiet") {
		t.Errorf("%s", s)
	}
	l.loads("c1", at, rig.Version)
	if body, code := l.get("c1", at+"node.yaml"); code != 404 {
		t.Errorf("%d, %s", code, body)
	}
	m := l.join("c1", "")

	// Approved: the same. Its configuration is for the holder of the certificate.
	s, at = l.script("c1")
	if !strings.Contains(s, "weir.image="+at+" ") || strings.Contains(s, "weir.config") || !strings.Contains(s, "BOOTIF=01-52-54-00-00-00-01") {
		t.Errorf("%s", s)
	}
	if body, code := l.get("c1", at+"node.yaml"); code != 404 {
		t.Errorf("%d, %s", code, body)
	}
	if c, err := m.Configuration(t.Context()); err != nil || !strings.Contains(c.NodeYaml, "node: lb1") {
		t.Errorf("%v, %v", c, err)
	}
	rig.NoSecret(t, "what is told over HTTP", s)
	l.loads("c1", at, rig.Version)
	if committed, err := m.Booted(t.Context(), rig.Version, "", false); err != nil || committed != rig.Version {
		t.Errorf("%s, %v", committed, err)
	}
	l.strangerGetsNothing(at)
	l.hostile()
	if !strings.Contains(l.log.String(), "a machine is approved") {
		t.Errorf("the log:\n%s", l.log)
	}
	rig.NoSecret(t, "the log", l.log.String())
}

// script is what a machine is told to run, and where its files are.
func (l *lab) script(where string) (text, at string) {
	l.t.Helper()
	s, code := l.get(where, scriptOf(l.clients[where]))
	found := regexp.MustCompile(`http://\S+/offer/[0-9a-f]{32}/`).FindString(s)
	if code != 200 || found == "" {
		l.t.Fatalf("%d, %s\n%s", code, s, l.log)
	}
	return s, found
}

func (l *lab) loads(where, at, version string) {
	l.t.Helper()
	for name, want := range map[string]string{"vmlinuz": "kernel ", "initramfs.cpio.zst": "initramfs ", "weir.efi": "unified "} {
		if body, code := l.get(where, at+name); code != 200 || body != want+version {
			l.t.Errorf("%s: %d, %q", name, code, body)
		}
	}
}

// loadsIPXE loads iPXE's programs by TFTP, with options and without, and by HTTP.
func (l *lab) loadsIPXE() {
	l.t.Helper()
	for _, name := range []string{"undionly.kpxe", "snponly.efi"} {
		want, err := os.ReadFile(filepath.Join("/usr/lib/ipxe", name))
		l.must(err)
		for _, how := range [][]string{{"--tftp-blksize", "1468", "tftp://10.40.0.1/" + name}, {"--tftp-no-options", "tftp://10.40.0.1//" + name}, {"http://10.40.0.1:6094/ipxe/" + name}} {
			file := filepath.Join(l.t.TempDir(), name)
			ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
			out, err := netns.Output(ctx, l.ns("c1"), append([]string{"curl", "-s", "-S", "-o", file}, how...)...)
			cancel()
			got, rerr := os.ReadFile(file)
			if err != nil || rerr != nil || !bytes.Equal(got, want) {
				l.t.Errorf("%v: %d bytes of %d, %v, %s", how, len(got), len(want), err, out)
			}
		}
	}
}

// join enrols the machine in a namespace, as an entry of its own choice if that is
// empty.
func (l *lab) join(where, as string) *enrolclient.Member {
	l.t.Helper()
	s, dir := l.stranger(where)
	e, err := s.Ask(l.t.Context())
	l.must(err)
	_, err = l.operator().Approve(l.t.Context(), &api.ApproveRequest{Machine: e.Fingerprint, Role: "node", Id: as})
	l.must(err)
	e, err = s.Enrol(l.t.Context(), nil)
	l.must(err)
	l.must(enrolclient.Save(dir, s.Key, e))
	me, err := identity.Load(enrolclient.Files(dir))
	l.must(err)
	return &enrolclient.Member{Address: s.Address, Dial: s.Dial, Me: me}
}
