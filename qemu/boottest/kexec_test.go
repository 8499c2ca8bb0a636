package boottest

import (
	"strings"
	"testing"

	"weir/qemu/variant"
)

// firmware is what OVMF writes before it starts anything.
const firmware = "BdsDxe: starting"

// A version on trial is started by the kernel that runs: the firmware has no part in
// that, and starts the version at every boot when it is committed.
func TestLongKexecStartsAVersionOnTrial(t *testing.T) {
	r := startRouter(t)
	p := publish(t)
	p.add(variant.Variant{Version: "0.99.0"})
	n := p.node(r, "  kexec: true\n  gate: {hold: 5s, deadline: 5m}\n", nil)
	n.confirm("upgrade", "the machine restarts into it")
	n.bootsAgain()
	n.eventuallySays("upgrades", "version 0.99.0 runs|the last upgrade, to 0.99.0 in slot b, is committed|b 0.99.0 good runs, committed", uefiPatience)
	n.servesLate(r)
	if text := n.Text()[n.life:]; strings.Contains(text, firmware) {
		t.Errorf("the firmware has started the trial:\n%s", text)
	}
	n.reboots()
	n.eventuallySays("upgrades", "version 0.99.0 runs|b 0.99.0 good runs, committed", uefiPatience)
	n.servesLate(r)
	if text := n.Text()[n.life:]; !strings.Contains(text, firmware) {
		t.Errorf("the firmware has not started the next boot:\n%s", text)
	}
}

// A version that does not come up by kexec gets its trial from the firmware, and then
// the old one is back.
func TestLongAVersionThatKexecCannotStartGoesBack(t *testing.T) {
	r := startRouter(t)
	p := publish(t)
	n := p.node(r, "  kexec: true\n  gate: {hold: 5s, deadline: 75s}\n", nil)
	for _, c := range []struct {
		name   string
		boots  int
		bad    variant.Variant
		reason string
	}{
		{"its kernel panics", 1, variant.Variant{Version: "0.99.0", Words: "rdinit=/none root=/dev/none"}, "was started and not heard of again"},
		{"its kernel hangs", 1, variant.Variant{Version: "0.99.1", Hangs: true}, "was started and not heard of again"},
		{"its dataplane crashes in a loop", 2, variant.Variant{Version: "0.99.2", Files: map[string][]byte{"bin/dataplane": []byte("#!/bin/sh\nexit 3\n")}}, "the dataplane does not forward"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n.t, r.t, p.t = t, t, t
			p.add(c.bad)
			n.confirm("upgrade "+c.bad.Version, "the machine restarts into it")
			n.tried(r, c.boots, nil, c.bad.Version, c.reason)
			if text := n.Text()[n.life:]; !strings.Contains(text, "kexec now") {
				t.Errorf("kexec was not tried:\n%s", text)
			}
		})
		n.t, r.t, p.t = t, t, t
	}
}
