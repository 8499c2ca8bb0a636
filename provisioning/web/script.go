package web

import (
	"fmt"
	"strings"

	"weir/provisioning/machines"
)

// first is where iPXE begins: it alone can tell what machine it runs on.
// Expressions are iPXE's (ipxe.org/cfg): netX is the NIC that it booted from.
func first(base string) string {
	return "#!ipxe\n" +
		"chain --autofree " + base + scriptPath + "?mac=${netX/mac:hexhyp}&uuid=${uuid}&serial=${serial:uristring}&arch=${buildarch} || goto failed\n" +
		":failed\n" +
		"echo The boot service has nothing for this machine: see the log of provisiond.\n" +
		"exit 1\n"
}

// script loads one offer, and starts it.
func script(base, token string, b machines.Boot, mac string, words ...string) string {
	at := base + offerPath + token + "/"
	line := []string{"initrd=" + initramfs} // UEFI: the kernel looks for its initramfs by this name
	line = append(line, words...)
	line = append(line, "weir.slot=net", "weir.image="+at, "BOOTIF=01-"+strings.ReplaceAll(mac, ":", "-"))
	return fmt.Sprintf("#!ipxe\necho Weir %s\nkernel %s%s %s || exit 1\ninitrd %s%s || exit 1\nboot || exit 1\n",
		b.Version, at, kernel, strings.Join(line, " "), at, initramfs)
}

// ownDisk leaves the machine to its firmware's next boot device.
const ownDisk = "#!ipxe\necho This machine is installed: it boots from its disk.\nexit 1\n"
