package boottest

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"weir/qemu/variant"
)

// A version on trial starts through OVMF, and again when it has not proved good.
const trialPatience = 12 * time.Minute

func TestANodeGoesToAVersionOfItsRepositoryAndBack(t *testing.T) {
	r := startRouter(t)
	p := publish(t)
	p.add(variant.Variant{Version: "0.99.0"})
	n := upgradable(t, r, p, 5*time.Minute, nil)
	n.confirm("upgrade", "the machine restarts into it")
	n.bootsAgain()
	n.eventuallySays("upgrades", "version 0.99.0 runs|the last upgrade, to 0.99.0 in slot b, is committed|b 0.99.0 good runs, committed", uefiPatience)
	n.servesLate(r)
	n.confirm("rollback", "the machine restarts into version "+builtVersion(t))
	n.bootsAgain()
	n.eventuallySays("upgrades", "a "+builtVersion(t)+" good runs, committed|b 0.99.0 good|is committed", uefiPatience)
	n.servesLate(r)
}

func TestLongANodeGoesToAVersionOfABundle(t *testing.T) {
	r := startRouter(t)
	p := publish(t)
	p.add(variant.Variant{Version: "0.99.0"})
	text, err := os.ReadFile(p.bundle("0.99.0"))
	if err != nil {
		t.Fatal(err)
	}
	n := upgradable(t, r, p, 5*time.Minute, map[string]string{"weir.bundle": string(text)})
	n.confirm("upgrade /var/lib/weir/weir.bundle", "the machine restarts into it")
	n.bootsAgain()
	n.eventuallySays("upgrades", "version 0.99.0 runs|is committed", uefiPatience)
	n.servesLate(r)
}

// Every bad release leaves by itself: the node comes back, serves, and says why.
func TestLongABadVersionGoesBack(t *testing.T) {
	r := startRouter(t)
	p := publish(t)
	n := upgradable(t, r, p, 75*time.Second, nil)
	for i, c := range []struct {
		name   string
		boots  int // that come to user space, its own and that of the old version
		bad    variant.Variant
		reason string
		while  func() (end func()) // what happens during its trial
	}{
		{name: "its kernel panics", boots: 1, bad: variant.Variant{Words: "rdinit=/none root=/dev/none"}, reason: "was started and not heard of again"},
		{name: "its kernel hangs", boots: 1, bad: variant.Variant{Hangs: true}, reason: "was started and not heard of again"},
		{name: "its init exits", boots: 1, bad: variant.Variant{Files: map[string][]byte{"init": []byte("#!/bin/sh\nexit 0\n")}}, reason: "was started and not heard of again"},
		{name: "its dataplane crashes in a loop", boots: 2, bad: variant.Variant{Files: map[string][]byte{"bin/dataplane": []byte("#!/bin/sh\nexit 3\n")}}, reason: "the dataplane does not forward"},
		{name: "it does not reach the router", boots: 2, reason: "no router is reached", while: r.hold},
		{name: "it cannot read the configuration", boots: 2, reason: "boot phase configuration failed",
			bad: variant.Variant{Change: variant.Change{File: "services/config/node.go", Old: "`yaml:\"node\" need:\"yes\"`", New: "`yaml:\"id\" need:\"yes\"`"}}},
		{name: "it cannot run updated", boots: 2, bad: variant.Variant{Files: map[string][]byte{"bin/updated": []byte("#!/bin/sh\nexit 3\n")}}, reason: "was started and not heard of again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n.t, r.t = t, t
			c.bad.Version = fmt.Sprintf("0.99.%d", i)
			p.add(c.bad)
			n.confirm("upgrade "+c.bad.Version, "the machine restarts into it")
			n.tried(r, c.boots, c.while, c.bad.Version, c.reason)
		})
		n.t, r.t = t, t
	}
}

// tried waits until a version has been tried and given up. With it, so many boots
// come to user space.
func (n *node) tried(r *frr, boots int, while func() (end func()), version, reason string) {
	n.t.Helper()
	began := len(n.Text())
	come := func(boots int) {
		n.t.Helper()
		eventually(n.t, trialPatience, func() error {
			if there := strings.Count(n.Text()[began:], "] state "); there < boots {
				return fmt.Errorf("%d of %d boots have come to their state partition", there, boots)
			}
			return nil
		})
	}
	if while != nil {
		end := while()
		come(1)
		_, trial, _ := strings.Cut(n.Text()[began:], "] state ")
		onTrial := len(n.Text()) - len(trial)
		eventually(n.t, trialPatience, func() error {
			if !strings.Contains(n.Text()[onTrial:], "asked for by updated") {
				return errors.New("the version on trial stays")
			}
			return nil
		})
		end()
	}
	come(boots)
	n.life = began
	// In the record, and in the state database.
	n.eventuallySays("upgrades", "version "+builtVersion(n.t)+" runs|the last upgrade, to "+version+" in slot b, is rolled back|b "+version+" bad|"+
		reason+"|UPGRADE TIME TO REASON rolled back", uefiPatience)
	n.servesLate(r)
}
