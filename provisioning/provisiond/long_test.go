package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/provisioning/enrolclient"
	"weir/provisioning/rig"
	"weir/qemu/netns"
	"weir/services/api"
)

// macVM is the MAC address of the machines of QEMU.
const macVM = "52:54:00:00:00:10"

// firmwares are Debian's, unmodified: the NIC's iPXE under SeaBIOS, and OVMF's own
// clients, one of which is switched off for the other.
var firmwares = []struct {
	name, kind string // kind is netboot's
	args       []string
}{
	{"iPXE BIOS", "ipxe", nil},
	{"OVMF PXE", "uefi", []string{"romfile="}},
	{"OVMF HTTP boot", "uefi-http", []string{"romfile=", "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n", "-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"}},
}

// Six machines boot the real image under translation: minutes of processor time.
func TestLongEveryFirmwareBootsTheImageBesideAForeignServerAndAlone(t *testing.T) {
	image, err := filepath.Abs("../../build/image")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(image, "vmlinuz")); err != nil {
		t.Fatalf("%v; make image", err)
	}
	for _, mode := range []string{"proxy", "server"} {
		for _, f := range firmwares {
			t.Run(f.name+", "+mode, func(t *testing.T) {
				l := newLab(t)
				l.must(os.RemoveAll(filepath.Join(l.Dir, "images", rig.Version)))
				l.must(os.Symlink(image, filepath.Join(l.Dir, "images", rig.Version)))
				l.Write("node.yaml.tmpl", strings.Replace(rig.Template, `control: {device: "mac:52:54:00:00:00:01"`, `control: {device: "mac:`+macVM+`"`, 1))
				if mode == "proxy" {
					l.dnsmasq()
					l.provisiond("  mode: proxy\n")
				} else {
					l.provisiond("  mode: server\n  prefix: 10.40.0.0/24\n  first: 10.40.0.100\n  last: 10.40.0.110\n")
				}
				l.approved()
				serial := l.machine(f.args)
				until(t, 4*time.Minute, func() string {
					b, err := os.ReadFile(serial)
					l.must(err)
					if strings.Contains(string(b), "slot net") && strings.Contains(string(b), "lb1 of ") {
						return ""
					}
					return fmt.Sprintf("the machine does not run as lb1; provisiond says\n%s\nand its console\n%s", l.log, b)
				})
				if n := l.metric(`weir_provision_answered_total{kind="` + f.kind + `",service="dhcp"}`); n == 0 {
					t.Errorf("it is not booted by %s:\n%s", f.kind, l.log)
				}
				if n := l.metric(`weir_provision_answered_total{kind="node_yaml",service="http"}`); n == 0 {
					t.Errorf("it did not fetch its configuration:\n%s", l.log)
				}
			})
		}
	}
}

// approved has an operator approve the machine of QEMU as lb1, with a key that
// stands for its own.
func (l *lab) approved() {
	l.t.Helper()
	s, _ := l.stranger("prov")
	s.Hardware = &api.MachineIdentity{Macs: []string{macVM}}
	fingerprint, err := enrolclient.Fingerprint(s.Key)
	l.must(err)
	_, err = s.Ask(l.t.Context())
	l.must(err)
	_, err = l.operator().Approve(l.t.Context(), &api.ApproveRequest{Machine: fingerprint, Role: "node", Id: "lb1"})
	l.must(err)
}

// machine starts an empty machine whose NIC is on the provisioning network; the
// first of args belongs to the NIC. It gives the file with what its console says.
func (l *lab) machine(args []string) (serial string) {
	l.t.Helper()
	dir := l.t.TempDir()
	serial = filepath.Join(dir, "serial")
	l.must(os.WriteFile(serial, nil, 0o644))
	hw, err := net.ParseMAC("52:54:00:00:ff:01") // of the host's side
	l.must(err)
	l.must(netns.Tap(l.ns("sw"), "vm", hw, 1500))
	l.must(netns.Enslave(l.ns("sw"), "vm", "br0"))
	nic := "virtio-net-pci,netdev=n0,bootindex=0,mac=" + macVM
	argv := []string{"-nodefaults", "-no-user-config", "-display", "none", "-M", "q35,sata=off", "-accel", "tcg,thread=multi", "-cpu", "max,erms=off,fsrm=off", "-m", "1536",
		"-device", "VGA", "-serial", "file:" + serial, "-netdev", "tap,id=n0,ifname=vm,script=no,downscript=no"}
	if len(args) > 0 {
		vars, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.fd")
		l.must(err)
		l.must(os.WriteFile(filepath.Join(dir, "vars.fd"), vars, 0o644))
		argv = append(argv, "-drive", "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd", "-drive", "if=pflash,unit=1,format=raw,file="+filepath.Join(dir, "vars.fd"))
		nic += "," + args[0]
		argv = append(argv, args[1:]...)
	}
	cmd := exec.Command("qemu-system-x86_64", append(argv, "-device", nic)...)
	out := &text{}
	cmd.Stdout, cmd.Stderr = out, out
	l.must(netns.Start(l.ns("sw"), cmd))
	l.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if s := out.String(); l.t.Failed() && s != "" {
			l.t.Log(s)
		}
	})
	return serial
}

// until polls until there is nothing to complain about.
func until(t *testing.T, limit time.Duration, complaint func() string) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(500 * time.Millisecond) {
		why := complaint()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(why)
		}
	}
}
