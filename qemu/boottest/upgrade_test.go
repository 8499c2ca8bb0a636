package boottest

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// A version on trial starts through OVMF, and again when it has not proved good.
const trialPatience = 8 * time.Minute

func TestANodeGoesToAVersionOfItsRepositoryAndBack(t *testing.T) {
	r := startRouter(t)
	p := publish(t)
	p.add(variant{version: "0.99.0"})
	n := upgradable(t, r, p, 5*time.Minute, nil)
	n.confirm("upgrade", "the machine restarts into it")
	n.bootsAgain()
	n.eventuallySays("upgrades", "version 0.99.0 runs|the last upgrade, to 0.99.0 in slot b, is committed|b 0.99.0 good runs, committed", uefiPatience)
	n.serves(r)
	n.confirm("rollback", "the machine restarts into version "+builtVersion(t))
	n.bootsAgain()
	n.eventuallySays("upgrades", "a "+builtVersion(t)+" good runs, committed|b 0.99.0 good|is committed", uefiPatience)
	n.serves(r)
}

func TestLongANodeGoesToAVersionOfABundle(t *testing.T) {
	r := startRouter(t)
	p := publish(t)
	p.add(variant{version: "0.99.0"})
	text, err := os.ReadFile(p.bundle("0.99.0"))
	if err != nil {
		t.Fatal(err)
	}
	n := upgradable(t, r, p, 5*time.Minute, map[string]string{"weir.bundle": string(text)})
	n.confirm("upgrade /var/lib/weir/weir.bundle", "the machine restarts into it")
	n.bootsAgain()
	n.eventuallySays("upgrades", "version 0.99.0 runs|is committed", uefiPatience)
	n.serves(r)
}

// goesBack has a bad version tried. The node must come back by itself, serve, and
// say why.
func goesBack(t *testing.T, v variant, reason string) {
	r := startRouter(t)
	p := publish(t)
	v.version = "0.99.0"
	p.add(v)
	n := upgradable(t, r, p, 75*time.Second, nil)
	n.confirm("upgrade", "the machine restarts into it")
	n.comesBack(r, reason)
}

// comesBack waits for the old version after a trial.
func (n *node) comesBack(r *frr, reason string) {
	n.t.Helper()
	n.bootsAgain()
	eventually(n.t, trialPatience, func() error {
		if !strings.Contains(n.Text()[n.life:], "rolled back") && !strings.Contains(oneLine(n.ask("upgrades")), "version "+builtVersion(n.t)+" runs") {
			return errors.New("the old version does not run")
		}
		return nil
	})
	// The second mention is that of the state database.
	n.eventuallySays("upgrades", "version "+builtVersion(n.t)+" runs|is rolled back|b 0.99.0 bad|"+reason+"|UPGRADE TIME TO REASON rolled back", patience)
	n.serves(r)
}

func TestLongAVersionWhoseKernelPanicsGoesBack(t *testing.T) {
	goesBack(t, variant{words: "rdinit=/none root=/dev/none"}, "did not reach user space")
}

func TestLongAVersionWhoseKernelHangsGoesBack(t *testing.T) {
	goesBack(t, variant{hangs: true}, "did not reach user space")
}

func TestLongAVersionWhoseInitExitsGoesBack(t *testing.T) {
	goesBack(t, variant{files: map[string]string{"init": "#!/bin/sh\nexit 0\n"}}, "did not reach user space")
}

func TestLongAVersionWhoseDataplaneCrashesInALoopGoesBack(t *testing.T) {
	goesBack(t, variant{files: map[string]string{"bin/dataplane": "#!/bin/sh\nexit 3\n"}}, "the dataplane does not forward")
}

func TestLongAVersionThatCannotRunUpdatedGoesBack(t *testing.T) {
	goesBack(t, variant{files: map[string]string{"bin/updated": "#!/bin/sh\nexit 3\n"}}, "the machine was reset before its health was decided")
}

func TestLongAVersionThatCannotReadTheConfigurationGoesBack(t *testing.T) {
	goesBack(t, variant{source: [3]string{"services/config/node.go", "`yaml:\"node\" need:\"yes\"`", "`yaml:\"id\" need:\"yes\"`"}},
		"boot phase configuration failed")
}

func TestLongAVersionThatDoesNotReachTheRouterGoesBack(t *testing.T) {
	r := startRouter(t)
	p := publish(t)
	p.add(variant{version: "0.99.0"})
	n := upgradable(t, r, p, 75*time.Second, nil)
	n.confirm("upgrade", "the machine restarts into it")
	release := r.hold()
	n.bootsAgain()
	eventually(t, trialPatience, func() error {
		if !strings.Contains(n.Text()[n.life:], "asked for by updated") {
			return errors.New("the version on trial stays")
		}
		return nil
	})
	release()
	n.comesBack(r, "no router is reached")
}
