package boottest

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/qemu/powercut"
	"weir/qemu/vm"
	"weir/services/config"
	"weir/services/state"
)

// A power cut is replayed from a recording of everything that a node wrote to
// its state disk. Most of what comes out is judged here on the host, as the next
// boot would: the file system recovers its journal and is then without a fault,
// the database opens, the configuration is whole. A sample, and in test-long
// each, boots as well.

func TestAfterAPowerCutTheStateIsWholeAndTheNodeServes(t *testing.T) {
	powerCuts(t, 20*time.Second, 20, 2)
}

func TestLongAfterAPowerCutAtAnyOf200MomentsTheNodeServes(t *testing.T) {
	powerCuts(t, 10*time.Minute, 200, 200)
}

func TestAfterAPowerCutWhileTheStateDiskIsFormattedItIsFormattedAgain(t *testing.T) {
	powerCutsAtFormatting(t, 1)
}

func TestLongAfterAPowerCutAtAnyMomentOfFormattingItIsFormattedAgain(t *testing.T) {
	powerCutsAtFormatting(t, 40)
}

// powerCuts records a boot, a changed configuration and so much running,
// cuts the power at prefixes of that, and boots some of them.
func powerCuts(t *testing.T, running time.Duration, prefixes, boots int) {
	r := startRouter(t)
	c := good(t, r.port)
	files := c.files()
	files["next.yaml"] = changed(c)
	disk := stateDisk(t, files)
	base := copyOf(t, disk)
	recording := filepath.Join(t.TempDir(), "writes")
	if err := os.WriteFile(recording, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := machine(t)
	m.Disks = []vm.Disk{{Path: disk, WriteLog: recording}}
	n := switchOn(t, m)
	n.fine(bootPatience, phases...)
	n.serves(r)
	began := time.Now()
	n.change("next.yaml")
	<-time.After(time.Until(began.Add(running))) // what is recorded is its running
	log := n.recorded(recording)
	flushes := 0
	for _, e := range log.Entries {
		if e.Flags&powercut.Flush != 0 {
			flushes++
		}
	}
	t.Logf("recorded %d requests, %d of them flushes", len(log.Entries), flushes)
	if flushes < 10 {
		t.Errorf("only %d flushes: the node does not wait for its disk", flushes)
	}
	random := rand.New(rand.NewPCG(4, 104))
	var rebuilt int
	for i := range prefixes {
		// One in each of as many parts of equal length.
		at := (len(log.Entries)*i + random.IntN(len(log.Entries))) / prefixes
		t.Run(fmt.Sprintf("after %d of %d requests", at, len(log.Entries)), func(t *testing.T) {
			cut := filepath.Join(t.TempDir(), "cut.img")
			if err := log.Disk(base, cut, at, uint64(i)); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the disk after the power cut is in %s", keepDisk(t, cut))
				}
			})
			if !wholeAfterCut(t, c, cut) {
				rebuilt++
			}
			if i*boots/prefixes < (i+1)*boots/prefixes {
				bootAfterCut(t, r, cut)
			}
		})
	}
	t.Logf("the database was rebuilt after %d of %d power cuts", rebuilt, prefixes)
}

// changed is the cluster file that the first is replaced with.
func changed(c configuration) string {
	return strings.Replace(c.cluster, "ports: 80", "ports: 8080", 1)
}

// powerCutsAtFormatting records how an empty disk becomes a state disk, and
// boots with what power cuts within that leave.
func powerCutsAtFormatting(t *testing.T, boots int) {
	r := startRouter(t)
	disk := filepath.Join(t.TempDir(), "marked.img")
	if err := vm.EmptyStateDisk(disk, diskSize/mib); err != nil {
		t.Fatal(err)
	}
	base := copyOf(t, disk)
	recording := filepath.Join(t.TempDir(), "writes")
	if err := os.WriteFile(recording, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := machine(t)
	m.Boot.Initrd = builtIn(t, good(t, r.port))
	m.Disks = []vm.Disk{{Path: disk, WriteLog: recording}}
	n := switchOn(t, m)
	n.phase("state", bootPatience)
	log := n.recorded(recording)
	random := rand.New(rand.NewPCG(4, 100))
	for i := range boots {
		at := (len(log.Entries)*i + random.IntN(len(log.Entries))) / boots
		t.Run(fmt.Sprintf("after %d of %d requests", at, len(log.Entries)), func(t *testing.T) {
			cut := filepath.Join(t.TempDir(), "cut.img")
			if err := log.Disk(base, cut, at, uint64(i)); err != nil {
				t.Fatal(err)
			}
			m := machine(t, cut)
			m.Boot.Initrd = builtIn(t, good(t, r.port))
			n := switchOn(t, m)
			n.fine(bootPatience, phases...)
			n.serves(r)
			n.eventuallySays("status", "read-write", patience)
		})
	}
}

// recorded cuts the machine's power and reads what its disk was asked to do.
func (n *node) recorded(path string) *powercut.Log {
	n.t.Helper()
	if err := n.Kill(); err != nil {
		n.t.Fatal(err)
	}
	return openLog(n.t, path)
}

func openLog(t *testing.T, path string) *powercut.Log {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	size, err := f.Seek(0, 2)
	if err != nil {
		t.Fatal(err)
	}
	log, err := powercut.Open(f, size)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// wholeAfterCut judges a disk on the host. It reports whether the database was
// kept, rather than set aside and begun anew.
func wholeAfterCut(t *testing.T, c configuration, disk string) bool {
	t.Helper()
	part := extract(t, disk)
	// 0: nothing to do, 1: the journal was recovered (e2fsck(8)).
	var exit *exec.ExitError
	if out, err := exec.Command("e2fsck", "-p", part).CombinedOutput(); errors.As(err, &exit) && exit.ExitCode() > 1 || err != nil && exit == nil {
		t.Fatalf("the file system does not recover: %v: %s", err, out)
	}
	checkFS(t, part)
	if text, _ := fileIn(t, part, "node.yaml"); text != c.node {
		t.Errorf("node.yaml is no longer what it was:\n%s", text)
	}
	if text, _ := fileIn(t, part, "cluster.yaml"); text != c.cluster && text != changed(c) {
		t.Errorf("cluster.yaml is neither what it was nor what it became:\n%s", text)
	}
	if text, there := fileIn(t, part, "node.yaml.last-good"); there {
		if _, err := config.ParseNode("node.yaml.last-good", []byte(text)); err != nil {
			t.Errorf("the last good configuration is damaged: %v", err)
		}
	}
	return stateIntact(t, part)
}

// stateIntact opens the database that is on a partition as noded does.
func stateIntact(t *testing.T, part string) bool {
	t.Helper()
	text, there := fileIn(t, part, state.FileName)
	if !there {
		return true // not made yet
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, state.FileName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	db, err := state.Open(dir, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Errorf("the state database: %v", err)
		return false
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	return said.Len() == 0
}

// checkFS checks a partition's file system, which must be without a fault.
func checkFS(t *testing.T, part string) {
	t.Helper()
	if out, err := exec.Command("e2fsck", "-fn", part).CombinedOutput(); err != nil {
		t.Errorf("the file system is damaged: %v: %s", err, out)
	}
}

// bootAfterCut boots with the disk: all phases are well and the node serves.
func bootAfterCut(t *testing.T, r *frr, disk string) {
	t.Helper()
	n := switchOn(t, machine(t, disk))
	n.fine(bootPatience, phases...)
	n.serves(r)
}

// keepDisk copies a disk to where a developer finds it.
func keepDisk(t *testing.T, disk string) string {
	to := filepath.Join(build, "boottest", strings.ReplaceAll(t.Name(), "/", "-")+".img")
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Error(err)
	}
	if out, err := exec.Command("cp", "--sparse=always", disk, to).CombinedOutput(); err != nil {
		t.Errorf("cp: %v: %s", err, out)
	}
	return to
}
