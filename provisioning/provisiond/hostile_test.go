package main

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/provisioning/rig"
	"weir/qemu/netns"
)

// strangerGetsNothing has another machine ask for what is lb1's: by its MAC
// address, by its UUID, and by the name of its offer, which it overheard.
func (l *lab) strangerGetsNothing(at string) {
	l.t.Helper()
	before := l.metric("weir_provision_refused_total{reason=\"not_its_machine\"") + l.metric("weir_provision_refused_total{reason=\"no_such_offer\"")
	for _, url := range []string{scriptOf(mac1), at + "node.yaml", at + "vmlinuz", at + "../node.yaml"} {
		if body, code := l.get("c2", url); code != 403 && code != 404 || strings.Contains(body, "lb1") || len(body) > 40 {
			l.t.Errorf("a stranger asks for %s: %d, %s", url, code, body)
		}
	}
	if n := l.metric("weir_provision_refused_total{reason=\"not_its_machine\"") + l.metric("weir_provision_refused_total{reason=\"no_such_offer\"") - before; n != 4 {
		l.t.Errorf("%v refusals are counted", n)
	}
	// Claims that nobody can prove lead to the image, which is no secret.
	s, code := l.get("c2", strings.Replace(scriptOf(mac2), "uuid=", "uuid=4c4c4544-0033-3310-8051-b4c04f4b3132", 1))
	if code != 200 || strings.Contains(s, "weir.config") || strings.Contains(s, "weir.install") || strings.Contains(s, "lb2") {
		l.t.Errorf("%d, %s", code, s)
	}
}

// hostile sends what no client sends; afterwards everything still works.
func (l *lab) hostile() {
	l.t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	var udp *net.UDPConn
	l.must(netns.Do(l.ns("c2"), func() (err error) { udp, err = net.ListenUDP("udp4", nil); return err }))
	defer udp.Close()
	send := func(port int, b []byte) {
		l.t.Helper()
		_, err := udp.WriteTo(b, &net.UDPAddr{IP: net.IPv4(10, 40, 0, 1), Port: port})
		l.must(err)
	}
	rrq := func(name, mode string) []byte { return []byte("\x00\x01" + name + "\x00" + mode + "\x00") }
	dhcp := noise(300)
	dhcp[0] = 1
	binary.BigEndian.PutUint32(dhcp[236:], 0x63825363)
	for range 20 {
		for _, port := range []int{67, 4011} {
			send(port, noise(r.IntN(300)))
			send(port, dhcp[:236+r.IntN(64)])
			send(port, noise(4000))
		}
		send(69, noise(r.IntN(100)))
	}
	for _, b := range [][]byte{rrq("../../../etc/shadow", "octet"), rrq("/etc/shadow", "octet"), rrq("undionly.kpxe/../x", "octet"), rrq(strings.Repeat("a", 1000), "octet"),
		rrq("snponly.efi", "mail"), []byte("\x00\x01"), []byte("\x00\x01snponly.efi"), rrq("snponly.efi\x00octet\x00blksize", strings.Repeat("9", 400)),
		append([]byte("\x00\x02boot\x00octet\x00"), noise(100)...), bytes.Repeat([]byte{0}, 516)} {
		send(69, b)
	}
	// What it answers: errors, no file.
	l.must(udp.SetReadDeadline(time.Now().Add(time.Second)))
	for b := make([]byte, 2048); ; {
		n, _, err := udp.ReadFrom(b)
		if err != nil {
			break
		}
		if strings.Contains(string(b[:n]), "root:") {
			l.t.Errorf("disclosed: %q", b[:n])
		}
	}

	l.must(os.Symlink("/etc", filepath.Join(l.Dir, "repository", "targets", "link")))
	for _, path := range []string{"/../../etc/passwd", "/ipxe/../../../etc/passwd", "/ipxe/%2e%2e/%2e%2e/etc/passwd", "/repository/../../../../etc/passwd", "/repository/metadata/../../state/provisiond.db",
		"/repository/metadata/%2e%2e%2f%2e%2e%2fprovisiond.yaml", "/repository/targets/link/passwd", "/repository/metadata", "/repository/metadata/.hidden", "/offer/x/node.yaml", "/offer//", "/images/" + rig.Version + "/vmlinuz",
		"/node.yaml", "/metrics", "/" + strings.Repeat("a", 2000), "/script?mac=../../x", "/script?mac=" + strings.Repeat("0", 900)} {
		if body, code := l.get("c2", "http://10.40.0.1:6094"+path); code == 200 || code == 0 || len(body) > 60 {
			l.t.Errorf("%.60s: %d, %.200s", path, code, body)
		}
	}
	for _, text := range []string{"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("b", 64<<10) + "\r\n\r\n", "\x16\x03\x01\x02\x00", "POST /script HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", "GET http://[::1%25/ HTTP/9.9\r\n\r\n"} {
		c, err := l.dial("c2")(l.t.Context(), "10.40.0.1:6094")
		l.must(err)
		_, _ = c.Write([]byte(text)) // it may be cut off
		l.must(c.SetReadDeadline(time.Now().Add(15 * time.Second)))
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		if n > 0 && bytes.Contains(b[:n], []byte(" 200 ")) {
			l.t.Errorf("%.20q is answered %.200q", text, b[:n])
		}
		c.Close()
	}
	for _, begin := range []string{`weir_provision_refused_total{reason="malformed",service="dhcp"}`, `weir_provision_refused_total{reason="oversized",service="dhcp"}`,
		`weir_provision_refused_total{reason="malformed",service="tftp"}`, `weir_provision_refused_total{reason="no_such_file",service="tftp"}`, `weir_provision_refused_total{reason="write",service="tftp"}`,
		`weir_provision_refused_total{reason="malformed",service="http"}`, `weir_provision_refused_total{reason="no_such_file",service="http"}`,
		`weir_provision_refused_total{reason="oversized",service="http"}`, `weir_provision_refused_total{reason="method",service="http"}`} {
		if l.metric(begin) == 0 {
			l.t.Errorf("nothing is counted as %s", begin)
		}
	}
	if body, code := l.get("c2", "http://10.40.0.1:6094/repository/metadata/timestamp.json"); code != 200 || body != "{}" {
		l.t.Errorf("signed updates: %d, %s", code, body)
	}
	if told := l.udhcpc("c2"); told["ip"] != "10.40.0.77" {
		l.t.Errorf("afterwards: %v", told)
	}
}
