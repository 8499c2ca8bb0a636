package boottest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/qemu/vm"
)

func TestAnEmptyDiskThatIsMarkedBecomesTheStateDisk(t *testing.T) {
	r := startRouter(t)
	disk := filepath.Join(t.TempDir(), "marked.img")
	if err := vm.EmptyStateDisk(disk, diskSize/mib); err != nil {
		t.Fatal(err)
	}
	m := machine(t, disk)
	m.Boot.Initrd = builtIn(t, good(t, r.port))
	n := switchOn(t, m)
	n.fine(bootPatience, phases...)
	n.serves(r)
	n.switchOff()
	if text := command(t, "sgdisk", "-i", "1", disk); !strings.Contains(text, "'"+vm.StateLabel+"'") {
		t.Errorf("the disk has no partition %s:\n%s", vm.StateLabel, text)
	}
	checkFS(t, extract(t, disk))
	if names := namesOn(t, disk, ""); !slices.Contains(names, "state.db") || !slices.Contains(names, "node.yaml.last-good") {
		t.Errorf("on the state partition are %v", names)
	}
}

func TestWhatInitMayNotFormatIsTheSameToTheByteAfterwards(t *testing.T) {
	// Whatever looks like somebody else's: all are attached at the same time.
	disks := map[string]string{"noise": noise(t, "noise")}
	add := func(name string, make func(path string)) {
		path := emptyDisk(t, name, 16*mib)
		make(path)
		disks[name] = path
	}
	add("zeros without the mark", func(string) {})
	add("a file system", func(p string) { command(t, "mke2fs", "-q", "-F", "-t", "ext4", p) })
	add("another's partition", func(p string) { command(t, "sgdisk", "-n", "1:2048:0", "-c", "1:data", p) })
	add("something else in a partition labelled as ours", func(p string) {
		command(t, "sgdisk", "-n", "1:2048:0", "-c", "1:"+vm.StateLabel, p)
		write(t, p, 1*mib+4096, "somebody's database")
	})
	add("the mark, and something at the end", func(p string) {
		write(t, p, 0, marker)
		write(t, p, 16*mib-512, "a backup partition table, perhaps")
	})
	add("the mark, and something behind it", func(p string) {
		write(t, p, 0, marker)
		write(t, p, 4096, "a file system, perhaps")
	})
	var paths []string
	before := map[string][32]byte{}
	for name, path := range disks {
		paths = append(paths, path)
		before[name] = digest(t, path)
	}
	r := startRouter(t)
	m := machine(t, paths...)
	m.Boot.Initrd = builtIn(t, good(t, r.port))
	n := switchOn(t, m)
	n.wants("state", "degraded", bootPatience, "left alone|in memory only", vm.StateLabel)
	n.serves(r)
	n.switchOff()
	for name, path := range disks {
		if digest(t, path) != before[name] {
			t.Errorf("the disk with %s was written to", name)
		}
	}
}

func TestANodeWithoutAStateDiskServesAndSaysThatItForgets(t *testing.T) {
	r := startRouter(t)
	m := machine(t)
	m.Boot.Initrd = builtIn(t, good(t, r.port))
	n := switchOn(t, m)
	n.wants("state", "degraded", bootPatience, "there is no disk|in memory only", "WEIR STATE DISK|weir-state")
	n.fine(patience, "configuration", "nics", "services")
	n.serves(r)
}

func TestANodeWhoseStateDiskIsFullServes(t *testing.T) {
	r := startRouter(t)
	disk := stateDisk(t, good(t, r.port).files())
	occupy(t, disk)
	n := switchOn(t, machine(t, disk))
	n.wants("state", "degraded", bootPatience, "the state partition is full|memory only", "delete what does not belong there|larger disk")
	n.fine(patience, "configuration", "nics", "services")
	n.serves(r)
}

func TestANodeWhoseStateDiskIsReadOnlyServes(t *testing.T) {
	r := startRouter(t)
	disk := stateDisk(t, good(t, r.port).files())
	before := digest(t, disk)
	m := machine(t)
	m.Disks = []vm.Disk{{Path: disk, ReadOnly: true}}
	n := switchOn(t, m)
	n.wants("state", "degraded", bootPatience, "the disk is read-only|memory only", "make the disk writable")
	n.fine(patience, "configuration", "nics", "services")
	n.serves(r)
	n.switchOff()
	if digest(t, disk) != before {
		t.Error("the disk was written to")
	}
}

func TestACorruptStateDatabaseIsSetAsideAndBegunAnew(t *testing.T) {
	r := startRouter(t)
	files := good(t, r.port).files()
	files["state.db"] = strings.Repeat("this is no database ", 2000)
	disk := stateDisk(t, files)
	n := switchOn(t, machine(t, disk))
	n.fine(bootPatience, phases...)
	n.serves(r)
	n.eventuallySays("logs noded", "the state database is corrupt; it is set aside and begun anew", patience)
	n.switchOff()
	aside := 0
	for _, name := range namesOn(t, disk, "") {
		if strings.HasPrefix(name, "state.db.corrupt-") {
			aside++
			if text, _ := fileOn(t, disk, name); text != files["state.db"] {
				t.Errorf("%s is not what the database was", name)
			}
		}
	}
	if aside != 1 {
		t.Errorf("%d databases were set aside, want 1: %v", aside, namesOn(t, disk, ""))
	}
	if !stateIntact(t, extract(t, disk)) {
		t.Error("the new database is no good either")
	}
}

func TestLongADamagedFileSystemOfTheStateIsRepaired(t *testing.T) {
	r := startRouter(t)
	disk := stateDisk(t, good(t, r.port).files())
	part := extract(t, disk)
	// A file in use of whose inode the bitmap knows nothing, and the kernel's note
	// that it has met an error: without one nobody looks.
	command(t, "debugfs", "-w", "-R", "freei /cluster.key", part)
	command(t, "debugfs", "-w", "-R", "set_super_value state 2", part)
	implant(t, part, disk)
	n := switchOn(t, machine(t, disk))
	n.fine(bootPatience, "configuration", "services")
	n.serves(r)
	n.switchOff()
	checkFS(t, extract(t, disk))
}
