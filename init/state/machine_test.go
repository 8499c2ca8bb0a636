package state

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/init/gpt"
)

// machine is a folder as root, with regular files as disks, and programs that
// do as little as is needed.
type machine struct {
	*System
	t      *testing.T
	fsck   map[string]int // exit code by its option
	ran    []string
	mounts []string
	onDisk map[string]string // files that appear where a disk is mounted
	broken bool              // no ext4 can be mounted
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, fsck: map[string]int{}, onDisk: map[string]string{}}
	m.System = &System{Root: t.TempDir(), Mount: m.mount, Unmount: func(string, int) error { return nil }, Run: m.run, Reread: m.reread, Settle: 60 * time.Millisecond}
	m.write("/dev/none", nil)
	return m
}

func (m *machine) write(path string, content []byte) {
	m.t.Helper()
	path = filepath.Join(m.Root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(path string) string {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(m.Root, path))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

// addDisk plugs in a disk with that content; the kernel reads its table.
func (m *machine) addDisk(name string, content []byte) {
	m.t.Helper()
	m.write("/dev/"+name, content)
	at := "/sys/block/" + name
	m.write(at+"/size", []byte(strconv.Itoa(len(content)/512)+"\n"))
	m.write(at+"/queue/logical_block_size", []byte("512\n"))
	m.write(at+"/ro", []byte("0\n"))
	m.write(at+"/device/serial", []byte("S1\n"))
	if err := m.reread(m.path(name)); err != nil {
		m.t.Fatal(err)
	}
}

// reread makes the partitions of a disk appear, as files of their own.
func (m *machine) reread(device string) error {
	b, err := os.ReadFile(device)
	if err != nil {
		return err
	}
	name := filepath.Base(device)
	if len(b) < 512 || b[510] != 0x55 || b[511] != 0xaa {
		return nil // without a protective MBR the kernel looks for no GPT
	}
	parts, err := gpt.Read(strings.NewReader(string(b)), int64(len(b)), 512)
	if err != nil {
		return nil
	}
	for _, p := range parts {
		child := fmt.Sprint(name, p.Number)
		m.write("/sys/block/"+name+"/"+child+"/partition", []byte(fmt.Sprint(p.Number)))
		m.write("/sys/block/"+name+"/"+child+"/start", []byte(fmt.Sprint(p.Start/512)))
		m.write("/dev/"+child, b[p.Start:][:p.Size])
	}
	return nil
}

func (m *machine) run(_ context.Context, name string, args ...string) (string, int, error) {
	m.ran = append(m.ran, name+" "+args[0])
	device := filepath.Join(m.Root, args[len(args)-1])
	switch name {
	case "mke2fs":
		f, err := os.OpenFile(device, os.O_WRONLY, 0)
		if err != nil {
			return err.Error(), 1, nil
		}
		defer f.Close()
		_, err = f.WriteAt([]byte{0x53, 0xef}, 1024+56)
		return "", 0, err
	case "e2fsck":
		return "what is wrong\n", m.fsck[args[0]], nil
	}
	return "", 0, fmt.Errorf("%s: not found", name)
}

func (m *machine) mount(source, target, fstype string, _ uintptr, _ string) error {
	if fstype == "ext4" && m.broken {
		return fmt.Errorf("structure needs cleaning")
	}
	m.mounts = append(m.mounts, fstype+" "+source)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if fstype == "ext4" {
		for name, content := range m.onDisk {
			m.write(filepath.Join(strings.TrimPrefix(target, m.Root), name), []byte(content))
		}
	}
	return nil
}

const diskSize = 8 * mib

func markedDisk() []byte { return append([]byte(DiskMark), make([]byte, diskSize-len(DiskMark))...) }

// dividedDisk has one partition with the label, which begins with content.
func dividedDisk(label, content string) []byte {
	b := make([]byte, diskSize)
	p, pieces, _ := gpt.Table(diskSize, 512, label, "x")
	for _, piece := range pieces {
		copy(b[piece.At:], piece.Data)
	}
	copy(b[p.Start:], content)
	return b
}

// formatted is the begin of a partition with a file system.
var formatted = strings.Repeat("\x00", 1024+56) + "\x53\xef"
