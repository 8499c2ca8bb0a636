package state

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/init/gpt"
	"weir/init/phase"
)

func TestAMarkedDiskBecomesTheStateDisk(t *testing.T) {
	m := newMachine(t)
	m.addDisk("vda", markedDisk())
	o := m.Open(context.Background())
	st := m.Status()
	if o.Result != phase.OK || st.Device != "/dev/vda1" || st.Mode != ReadWrite || !slices.Contains(m.mounts, "ext4 /dev/vda1") {
		t.Fatalf("%+v %+v %v", o, st, m.mounts)
	}
	if d := m.read("/dev/vda1"); strings.HasPrefix(d, formatting) {
		t.Error("the partition still says that it is being formatted")
	}
	m.ran = nil
	if o := m.Open(context.Background()); o.Result != phase.OK || slices.ContainsFunc(m.ran, func(r string) bool { return strings.HasPrefix(r, "mke2fs") }) {
		t.Errorf("at the second boot: %+v, ran %v", o, m.ran)
	}
}

func TestAnEmptyOrHalfFormattedStatePartitionIsFormatted(t *testing.T) {
	for what, content := range map[string]string{"empty": "", "half formatted": formatting + strings.Repeat("x", 9000)} {
		m := newMachine(t)
		m.addDisk("sda", dividedDisk(Label, content))
		if o := m.Open(context.Background()); o.Result != phase.OK || m.ran[0] != "mke2fs -q" {
			t.Errorf("%s: %+v, ran %v", what, o, m.ran)
		}
	}
}

func TestWhatIsNotMarkedIsNeverWrittenTo(t *testing.T) {
	with := func(b []byte, at int, c byte) []byte { b[at] = c; return b }
	for what, content := range map[string][]byte{
		"zeros":                                     make([]byte, diskSize),
		"another GPT":                               dividedDisk("data", ""),
		"another GPT with a file system":            dividedDisk("data", formatted),
		"our label, other content":                  dividedDisk(Label, "XFSB"),
		"our label, a zero less":                    dividedDisk(Label, strings.Repeat("\x00", mib-1)+"x"),
		"the mark, and something after it":          with(markedDisk(), 700, 1),
		"the mark, and something at the disk's end": with(markedDisk(), diskSize-1, 1),
		"the mark, and a partition table of an MBR": with(with(markedDisk(), 510, 0x55), 511, 0xaa),
		"the mark without its end of line":          with(markedDisk(), len(DiskMark)-1, ' '),
		"the mark in the second sector":             append(make([]byte, 512), markedDisk()[:diskSize-512]...),
		"the mark on a disk that is too small":      markedDisk()[:3*mib],
	} {
		m := newMachine(t)
		m.addDisk("sda", bytes.Clone(content))
		o := m.Open(context.Background())
		if o.Result != phase.Degraded || m.Status().Mode != Memory || o.Remedy == "" || len(m.ran) > 0 {
			t.Errorf("%s: %+v, ran %v", what, o, m.ran)
		}
		if m.read("/dev/sda") != string(content) {
			t.Errorf("%s: the disk was written to", what)
		}
	}
}

func TestDividingADiskCanBeInterruptedAnywhere(t *testing.T) {
	d := disk{name: "vda", size: diskSize, sector: 512, seed: "S1" + "8388608"}
	_, pieces, _ := gpt.Table(d.size, d.sector, Label, d.seed)
	before := pieces[:len(pieces)-1] // in any order, sector by sector; the last is only written after them
	for skip := range before {
		b := markedDisk()
		for i, p := range before {
			if i != skip {
				copy(b[p.At:], p.Data[:len(p.Data)/512/2*512+512])
			}
		}
		m := newMachine(t)
		m.addDisk("vda", b)
		if o := m.Open(context.Background()); o.Result != phase.OK || m.Status().Mode != ReadWrite {
			t.Errorf("without piece %d: %+v", skip, o)
		}
	}
}

func TestAMachineWithoutADiskWorksFromMemory(t *testing.T) {
	m := newMachine(t)
	o := m.Open(context.Background())
	if o.Result != phase.Degraded || !strings.Contains(o.Reason, "there is no disk") || !strings.Contains(o.Remedy, "weir-state") || m.mounts[0] != "tmpfs tmpfs" {
		t.Errorf("%+v, mounted %v", o, m.mounts)
	}
}

func TestAFileSystemIsPreferredToAnEmptyPartitionAndTheOtherIsTold(t *testing.T) {
	m := newMachine(t)
	m.addDisk("sda", dividedDisk(Label, ""))
	m.addDisk("sdb", dividedDisk(Label, formatted))
	o := m.Open(context.Background())
	if m.Status().Device != "/dev/sdb1" || o.Result != phase.Degraded || !strings.Contains(o.Reason, "/dev/sda1") {
		t.Errorf("%+v %+v", m.Status(), o)
	}
}

func TestOfAReadOnlyDiskTheSmallFilesAreTakenIntoMemory(t *testing.T) {
	m := newMachine(t)
	m.addDisk("sda", dividedDisk(Label, formatted))
	m.write("/sys/block/sda/ro", []byte("1\n"))
	m.onDisk = map[string]string{"node.yaml": "node: lb1\n", "identity/node.key": "key", "log/noded.log": "long"}
	o := m.Open(context.Background())
	if o.Result != phase.Degraded || m.Status().Mode != ReadOnly || !strings.Contains(o.Reason, "read-only") || len(m.ran) > 0 {
		t.Fatalf("%+v %+v, ran %v", o, m.Status(), m.ran)
	}
	if m.read(Dir+"/node.yaml") != "node: lb1\n" || m.read(Dir+"/identity/node.key") != "key" {
		t.Error("the files are not what they were")
	}
	if _, err := os.Stat(filepath.Join(m.Root, Dir, "log/noded.log")); err == nil {
		t.Error("logs were copied into memory")
	}
}

func TestADamagedFileSystemIsRepairedAndToldOf(t *testing.T) {
	m := newMachine(t)
	m.addDisk("sda", dividedDisk(Label, formatted))
	m.fsck["-p"], m.fsck["-y"] = 4, 1
	if o := m.Open(context.Background()); o.Result != phase.Degraded || m.Status().Mode != ReadWrite || !strings.Contains(o.Reason, "was repaired") {
		t.Errorf("%+v %+v", o, m.Status())
	}
}

func TestADiskThatCannotBeRepairedOrMountedOrWrittenIsOnlyRead(t *testing.T) {
	for what, prepare := range map[string]func(*machine){
		"cannot be repaired":             func(m *machine) { m.fsck["-p"], m.fsck["-y"] = 4, 4|8 },
		"structure needs cleaning":       func(m *machine) { m.broken = true },
		"replace " + Dir + "/boot/probe": func(m *machine) { m.onDisk["boot"] = "no folder" },
	} {
		m := newMachine(t)
		m.addDisk("sda", dividedDisk(Label, formatted))
		prepare(m)
		o := m.Open(context.Background())
		reason := strings.ReplaceAll(o.Reason, m.Root, "")
		if o.Result != phase.Degraded || m.Status().Mode == ReadWrite || !strings.Contains(reason, what[:7]) || o.Remedy == "" {
			t.Errorf("%s: %+v %+v", what, o, m.Status())
		}
	}
}

func TestWhatPowerCutsLeftOfFilesIsRemoved(t *testing.T) {
	m := newMachine(t)
	m.addDisk("sda", dividedDisk(Label, formatted))
	m.write(Dir+"/boot/.probe.123", []byte("half"))
	m.write(Dir+"/boot/time", []byte("1"))
	if o := m.Open(context.Background()); o.Result != phase.OK {
		t.Fatal(o)
	}
	left, _ := filepath.Glob(filepath.Join(m.Root, Dir, "boot", "*"))
	hidden, _ := filepath.Glob(filepath.Join(m.Root, Dir, "boot", ".*"))
	if len(left) != 1 || len(hidden) != 0 {
		t.Errorf("left are %v and %v", left, hidden)
	}
}

func TestBootsAreCountedOnTheStatePartition(t *testing.T) {
	m := newMachine(t)
	for want := 1; want <= 3; want++ {
		if n, err := m.CountBoot(); n != want || err != nil {
			t.Errorf("boot %d is counted as %d: %v", want, n, err)
		}
	}
	m.write(Dir+"/boot/count", []byte("garbage"))
	if n, err := m.CountBoot(); n != 1 || err != nil {
		t.Errorf("with a damaged count: %d, %v", n, err)
	}
}
