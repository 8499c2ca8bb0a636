// Package capture records packets of the lab with tcpdump and reads them back.
package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"weir/qemu/netns"
)

// Capture is a running tcpdump.
type Capture struct {
	cmd    *exec.Cmd
	path   string
	stderr *os.File
}

// Packet is one recorded frame.
type Packet struct {
	At   time.Time
	Data []byte // from the Ethernet header on, or from IP on if the interface has none
}

// File is what was recorded.
type File struct {
	LinkType uint32 // 1: Ethernet, 101: raw IP
	Packets  []Packet
}

// Start records what passes the interface and matches the filter, until Stop.
// It returns once tcpdump listens. path gets the packets, their first 256 bytes.
func Start(ns, device, filter, path string) (*Capture, error) {
	return start(ns, device, filter, path, "256")
}

// StartWhole records all of every packet.
func StartWhole(ns, device, filter, path string) (*Capture, error) {
	return start(ns, device, filter, path, "2048")
}

func start(ns, device, filter, path, snap string) (*Capture, error) {
	stderr, err := os.Create(path + ".log")
	if err != nil {
		return nil, fmt.Errorf("start capture: %w", err)
	}
	c := &Capture{path: path, stderr: stderr}
	c.cmd = exec.Command("tcpdump", "-i", device, "--immediate-mode", "-U", "-n", "-s", snap, "-B", "16384", "-w", path, filter)
	c.cmd.Stderr = stderr
	if err := netns.Start(ns, c.cmd); err != nil {
		stderr.Close()
		return nil, fmt.Errorf("start tcpdump in %s: %w", ns, err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		text, _ := os.ReadFile(path + ".log")
		if strings.Contains(string(text), "listening on") {
			return c, nil
		}
		if time.Now().After(deadline) {
			c.Stop()
			return nil, fmt.Errorf("tcpdump on %s in %s does not listen: %s", device, ns, text)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Stop ends the recording and reads it. It fails if tcpdump lost packets,
// because then the absence of a packet proves nothing.
func (c *Capture) Stop() (*File, error) {
	c.settle()
	c.cmd.Process.Signal(syscall.SIGINT)
	err := c.cmd.Wait()
	c.stderr.Close()
	log, _ := os.ReadFile(c.path + ".log")
	if err != nil {
		return nil, fmt.Errorf("tcpdump: %w: %s", err, log)
	}
	if !strings.Contains(string(log), "\n0 packets dropped by kernel") {
		return nil, fmt.Errorf("tcpdump lost packets: %s", log)
	}
	return Read(c.path)
}

// settle waits until tcpdump has written what it has seen: the file has stopped
// to grow, or some time has passed, because the traffic goes on.
func (c *Capture) settle() {
	const steady, patience = 100 * time.Millisecond, 2 * time.Second
	var size int64 = -1
	for begun, since := time.Now(), time.Now(); time.Since(begun) < patience && time.Since(since) < steady; time.Sleep(10 * time.Millisecond) {
		if now := c.Size(); now != size {
			size, since = now, time.Now()
		}
	}
}

// Size is how many bytes were recorded so far, file header included.
func (c *Capture) Size() int64 {
	st, err := os.Stat(c.path)
	if err != nil {
		return 0
	}
	return st.Size()
}

// HeaderSize is the size of a recording without packets.
const HeaderSize = 24

const magic = 0xa1b2c3d4 // microseconds, as tcpdump writes on every machine of ours

// Read reads a pcap file.
func Read(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read capture: %w", err)
	}
	defer f.Close()
	r := bufio.NewReader(f)
	var head [HeaderSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("read capture %s: %w", path, err)
	}
	le := binary.LittleEndian
	if le.Uint32(head[:]) != magic {
		return nil, fmt.Errorf("read capture %s: not a pcap file of this machine", path)
	}
	file := &File{LinkType: le.Uint32(head[20:])}
	for {
		var record [16]byte
		if _, err := io.ReadFull(r, record[:]); errors.Is(err, io.EOF) {
			return file, nil
		} else if err != nil {
			return nil, fmt.Errorf("read capture %s: %w", path, err)
		}
		p := Packet{At: time.Unix(int64(le.Uint32(record[:])), int64(le.Uint32(record[4:]))*1000), Data: make([]byte, le.Uint32(record[8:]))}
		if _, err := io.ReadFull(r, p.Data); err != nil {
			return nil, fmt.Errorf("read capture %s: %w", path, err)
		}
		file.Packets = append(file.Packets, p)
	}
}
