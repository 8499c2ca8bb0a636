package boottest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"weir/qemu/variant"
	"weir/qemu/vm"
)

// The whole of an upgrade is recorded: download, writing, restart, trial, commit.
// After a power cut at any of its writes, with what was not flushed dropped or
// torn, the machine boots the old version or the new one: with the boot variables
// that it had then, and with none.
func TestLongAfterAPowerCutAtAnyOf200MomentsOfAnUpgradeTheNodeBoots(t *testing.T) {
	r := startRouter(t)
	p := publish(t)
	p.add(variant.Variant{Version: "0.99.0"})
	c := good(t, r.port)
	c.node += fmt.Sprintf("updates:\n  repository: %s\n  gate: {hold: 5s, deadline: 5m}\n", p.url)
	disk := diskImage(t, c.files())
	base := copyOf(t, disk)
	recording := filepath.Join(t.TempDir(), "writes")
	if err := os.WriteFile(recording, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := machine(t)
	m.Disks = []vm.Disk{{Path: disk, WriteLog: recording}}
	m.Boot = vm.Boot{Disk: true}
	n := switchOn(t, m)
	vars := watchVariables(t, filepath.Join(m.Dir, "uefi-vars.fd"), recording)
	n.servesLate(r)
	n.confirm("upgrade", "the machine restarts into it")
	n.bootsAgain()
	n.eventuallySays("upgrades", "version 0.99.0 runs|is committed", uefiPatience)
	vars.end()
	log := n.recorded(recording)
	t.Logf("recorded %d requests, and %d states of the boot variables", len(log.Entries), len(vars.states))

	const cuts = 200
	random := rand.New(rand.NewPCG(4, 105))
	booted := map[string]int{}
	for i := range cuts {
		at := (len(log.Entries)*i + random.IntN(len(log.Entries))) / cuts
		wiped := i%2 == 1
		t.Run(fmt.Sprintf("after %d of %d requests, variables wiped %v", at, len(log.Entries), wiped), func(t *testing.T) {
			cut := filepath.Join(t.TempDir(), "cut.img")
			if err := log.Disk(base, cut, at, uint64(i)); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the disk after the power cut is in %s", keepDisk(t, cut))
				}
			})
			var kept []byte
			if !wiped {
				kept = vars.at(at)
			}
			booted[bootsWith(t, cut, kept)]++
		})
	}
	t.Logf("booted %v", booted)
}

// bootsWith boots a disk, with these boot variables or with none, until init tells
// its version and slot.
func bootsWith(t *testing.T, disk string, variables []byte) string {
	t.Helper()
	m := machine(t, disk)
	// Less of a machine, which is there sooner: it only has to boot.
	m.NICs, m.IOMMU, m.Headless, m.Boot = nil, false, true, vm.Boot{Disk: true}
	if variables != nil {
		if err := os.WriteFile(filepath.Join(m.Dir, "uefi-vars.fd"), variables, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n := switchOn(t, m)
	defer n.Kill()
	var got string
	eventually(t, uefiPatience, func() error {
		found := runningSlot.FindStringSubmatch(n.Text())
		if found == nil {
			return errors.New("init does not tell its version and slot")
		}
		got = found[1] + " in slot " + found[2]
		return nil
	})
	if !slices.Contains([]string{builtVersion(t) + " in slot a", "0.99.0 in slot b"}, got) {
		t.Errorf("version %s boots", got)
	}
	return got
}

// runningSlot is in the headline of the console's page.
var runningSlot = regexp.MustCompile(`Weir (\S+)  [^\n]*?slot ([ab]) `)

// variables are what the firmware's flash held, and how much had been written to
// the disk when it was first seen.
type variables struct {
	stop   chan struct{}
	done   chan struct{}
	states []variableState
}

type variableState struct {
	entries int
	flash   []byte
}

// watchVariables follows a machine's flash until it is told to end.
func watchVariables(t *testing.T, flash, recording string) *variables {
	t.Helper()
	v := &variables{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(v.done)
		for {
			v.look(flash, recording)
			select {
			case <-v.stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return v
}

func (v *variables) look(flash, recording string) {
	now, err := os.ReadFile(flash)
	if err != nil || len(v.states) > 0 && string(now) == string(v.states[len(v.states)-1].flash) {
		return
	}
	v.states = append(v.states, variableState{recordedSoFar(recording), now})
}

// recordedSoFar is the number of entries that a recording's super block counts.
func recordedSoFar(recording string) int {
	f, err := os.Open(recording)
	if err != nil {
		return 0
	}
	defer f.Close()
	var b [8]byte
	if _, err := f.ReadAt(b[:], 16); err != nil {
		return 0
	}
	return int(binary.LittleEndian.Uint64(b[:]))
}

func (v *variables) end() { close(v.stop); <-v.done }

// at is the flash after so many entries; nil: it was never written before.
func (v *variables) at(entries int) (flash []byte) {
	for _, s := range v.states {
		if s.entries <= entries {
			flash = s.flash
		}
	}
	return flash
}
