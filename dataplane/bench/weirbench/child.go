package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// child is a program that measures a round whenever it is told to.
type child struct {
	name   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	stderr bytes.Buffer
}

func start(name, path string, args ...string) (*child, error) {
	c := &child{name: name, cmd: exec.Command(path, args...)}
	c.cmd.Stderr = &c.stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c.out = bufio.NewScanner(stdout)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	var ready struct{ Ready bool }
	if err := c.read(&ready); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// startSelf starts this program as a child.
func startSelf(what string, flows int, o options) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return start("weirbench "+what, self, "-child", what, "-flows", strconv.Itoa(flows), "-packets", strconv.Itoa(o.packets),
		"-core", strconv.Itoa(o.core), "-no-huge="+strconv.FormatBool(o.noHuge))
}

// startRteHash starts the C program.
func startRteHash(flows int, o options) (*child, error) {
	args := append(eal("rtehash", o), "-l", strconv.Itoa(o.core), "--", strconv.Itoa(flows), strconv.Itoa(o.packets))
	return start("rtehash", o.rtehash, args...)
}

// eal are the arguments of a DPDK program with two net_null ports.
func eal(prefix string, o options) []string {
	args := []string{"--no-pci", "--no-telemetry", "--log-level=4", "--file-prefix=weirbench-" + prefix, "--vdev=net_null0", "--vdev=net_null1"}
	if o.noHuge {
		return append(args, "--no-huge", "--no-shconf", "-m", "512")
	}
	return append(args, "--in-memory")
}

// read takes the next line with JSON from the child.
func (c *child) read(into any) error {
	for c.out.Scan() {
		if line := c.out.Bytes(); bytes.HasPrefix(line, []byte("{")) {
			if err := json.Unmarshal(line, into); err != nil {
				return fmt.Errorf("%s said %q: %w", c.name, line, err)
			}
			return nil
		}
	}
	err := c.cmd.Wait()
	c.cmd = nil
	return fmt.Errorf("%s ended early (%v): %s", c.name, err, strings.TrimSpace(c.stderr.String()))
}

// round has the child measure once.
func (c *child) round() (r round, err error) {
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		return r, fmt.Errorf("ask %s for a round: %w", c.name, err)
	}
	if err := c.read(&r); err != nil {
		return r, err
	}
	if r.Dropped > 0 {
		return r, fmt.Errorf("%s dropped %d packets", c.name, r.Dropped)
	}
	return r, nil
}

// stop ends the child: its input ends, and so does it.
func (c *child) stop() {
	c.in.Close()
	if c.cmd == nil {
		return
	}
	kill := time.AfterFunc(10*time.Second, func() { c.cmd.Process.Kill() })
	defer kill.Stop()
	c.cmd.Wait()
}

// testpmd runs DPDK's own forwarder between two net_null ports for a few
// seconds and gives its best second, in ns per packet: what moving a packet
// costs at the least. Its main thread needs a second CPU.
func testpmd(o options) (float64, error) {
	main := 0
	if o.core == 0 {
		main = 1
	}
	args := append(eal("testpmd", o), "-l", fmt.Sprintf("%d,%d", main, o.core), "--main-lcore", strconv.Itoa(main),
		"--", "--forward-mode=io", "--burst=32", "--auto-start", "--stats-period=1", "--total-num-mbufs=8191")
	cmd := exec.Command(o.testpmd, args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, fmt.Errorf("start testpmd: %w", err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start testpmd: %w", err)
	}
	kill := time.AfterFunc(5*time.Second, func() { cmd.Process.Signal(os.Interrupt) })
	defer kill.Stop()
	best := 0.0
	var ports []float64 // Rx-pps of the ports of one display
	for s := bufio.NewScanner(stdout); s.Scan(); {
		field := strings.Fields(s.Text())
		if len(field) < 2 || field[0] != "Rx-pps:" {
			continue
		}
		pps, err := strconv.ParseFloat(field[1], 64)
		if err != nil {
			continue
		}
		if ports = append(ports, pps); len(ports) == 2 {
			best = max(best, ports[0]+ports[1])
			ports = ports[:0]
		}
	}
	err = cmd.Wait()
	if best == 0 {
		return 0, errors.Join(fmt.Errorf("testpmd reported no packets: %s", strings.TrimSpace(stderr.String())), err)
	}
	return 1e9 / best, nil
}
