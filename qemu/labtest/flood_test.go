package labtest

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/qemu/flood"
	"weir/qemu/netns"
	"weir/qemu/topology"
)

// What every flood must reach, and the time that wrk runs beside it.
const (
	floodFrames = 1_000_000
	floodRate   = 55_000 // per second; at least 50 000 must be reached
	floodTime   = 25     // seconds of wrk, longer than a flood
)

// clientPath is the way from the client to the router.
func clientPath(t *testing.T) flood.Path {
	t.Helper()
	from, err := netns.MAC(topology.ClientName, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	to, err := netns.MAC(topology.RouterName, "client0")
	if err != nil {
		t.Fatal(err)
	}
	return flood.Path{From: from, To: to}
}

// underFlood runs wrk, opens new connections and keeps old ones in use while
// the flood lasts: nothing may go wrong with any of them.
func underFlood(t *testing.T, next func() flood.Next) {
	t.Helper()
	old := connections(t, 20)
	sender, err := flood.NewSender(topology.ClientName, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()

	type wrkEnd struct {
		errors string
		rate   float64
		err    error
	}
	wrk := make(chan wrkEnd, 1)
	ctx := within(t, 2*time.Minute)
	go func() {
		got, err := client().RunWrk(ctx, "http://"+web4().String()+"/1k", 50, floodTime)
		wrk <- wrkEnd{got.Errors, got.Rate, err}
	}()
	// The flood starts when wrk's connections are there, so they can be its aim.
	eventually(t, 10*time.Second, func() error {
		if live := liveTuples(t, web4()); len(live) < 50 {
			return fmt.Errorf("wrk has %d connections", len(live))
		}
		return nil
	})
	flooded := make(chan error, 1)
	go func() {
		rate, err := sender.Run(ctx, floodFrames, floodRate, next())
		if err == nil && rate < 50_000 {
			err = fmt.Errorf("the flood reached only %.0f frames per second", rate)
		}
		flooded <- err
	}()
	fresh := 0
	for running := true; running; {
		select {
		case err := <-flooded:
			if err != nil {
				t.Error(err)
			}
			running = false
		default:
			tally := client().Requests(ctx, []netip.AddrPort{web4(), web6()}, 10, 2)
			for _, err := range tally.Lost {
				t.Errorf("a new connection during the flood: %v", err)
			}
			fresh += 10
			for _, conn := range old {
				if err := echo(conn, "still here?"); err != nil {
					t.Errorf("an old connection during the flood: %v", err)
					running = false
				}
			}
		}
	}
	end := <-wrk
	if end.err != nil || end.errors != "" {
		t.Errorf("wrk during the flood: %v %s", end.err, end.errors)
	}
	t.Logf("wrk made %.0f requests per second; %d new connections succeeded", end.rate, fresh)
	for _, conn := range old {
		if err := echo(conn, "after the flood"); err != nil {
			t.Error(err)
		}
	}
}

func TestAFloodOfSpoofedSYNsDisturbsNobody(t *testing.T) {
	underFlood(t, func() flood.Next {
		return flood.SpoofedSYNs(clientPath(t), flood.Targets{V4: web4(), V6: web6()}, rand.New(rand.NewPCG(1, 1)))
	})
}

func TestAFloodOfSpoofedACKsAndDataDisturbsNobody(t *testing.T) {
	underFlood(t, func() flood.Next {
		return flood.SpoofedData(clientPath(t), flood.Targets{V4: web4(), V6: web6()}, rand.New(rand.NewPCG(2, 2)))
	})
}

func TestAFloodOfSYNsOnLiveConnectionsDisturbsNobody(t *testing.T) {
	underFlood(t, func() flood.Next {
		live := append(liveTuples(t, web4()), liveTuples(t, test4())...)
		return flood.SYNsOn(clientPath(t), live, rand.New(rand.NewPCG(3, 3)))
	})
}

// Memory must be at its bound after floods, not grow with them. The bound is
// what a node holds when every table is full and was touched.
func TestMemoryStaysAtItsBoundAfterFloods(t *testing.T) {
	const bound = 256 << 20 // bytes, of one dataplane with the lab's table sizes
	for _, n := range theLab.Top.Nodes {
		peak, err := residentPeak(theLab.Pid(n.ID, "dataplane"))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("the dataplane of %s had at most %d MiB", n.ID, peak>>20)
		if peak > bound {
			t.Errorf("the dataplane of %s had %d MiB, more than %d", n.ID, peak>>20, bound>>20)
		}
	}
}

// residentPeak is the largest resident set that a process ever had, bytes.
func residentPeak(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(value, "kB")))
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmHWM", pid)
}

// liveTuples lists the client's established IPv4 connections to an endpoint.
func liveTuples(t *testing.T, to netip.AddrPort) []flood.Tuple {
	t.Helper()
	var tuples []flood.Tuple
	err := netns.Do(topology.ClientName, func() error {
		f, err := os.Open("/proc/thread-self/net/tcp")
		if err != nil {
			return err
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 4 || fields[3] != "01" { // TCP_ESTABLISHED
				continue
			}
			local, remote := procAddr(fields[1]), procAddr(fields[2])
			if remote == to {
				tuples = append(tuples, flood.Tuple{Client: local, Server: remote})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tuples
}

// procAddr reads "0A00020F:0050": a word as the machine stores it, and a port.
func procAddr(s string) netip.AddrPort {
	word, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(word)
	if err != nil || len(b) != 4 {
		return netip.AddrPort{}
	}
	p, _ := strconv.ParseUint(port, 16, 16)
	var addr [4]byte
	binary.LittleEndian.PutUint32(addr[:], binary.BigEndian.Uint32(b))
	return netip.AddrPortFrom(netip.AddrFrom4(addr), uint16(p))
}

// Garbage of every kind goes to the north side of the nodes through the router
// and, from a stranger on the fabric, to every node and server directly.
func TestGarbageOfEveryKindIsCountedAndCrashesNothing(t *testing.T) {
	const frames = 26_000 // 2 000 of each kind
	before := totalDrops(t)
	pids := programPids(t)
	ctx := within(t, 2*time.Minute)

	outside, err := flood.NewSender(topology.ClientName, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	for i, vip := range []netip.AddrPort{web4(), web6()} {
		aim := flood.Aim{Path: clientPath(t), Stranger: theLab.Top.Client.V4.Addr(), Machine: theLab.Top.Nodes[0].North.Addr(), VIP: vip}
		if _, err := outside.Run(ctx, frames, 20_000, flood.Garbage(aim, rand.New(rand.NewPCG(4, uint64(i))))); err != nil {
			t.Fatal(err)
		}
	}
	inside, path := stranger(t)
	for i, machine := range fabricMachines() {
		mac, err := netns.MAC(machine.namespace, machine.device)
		if err != nil {
			t.Fatal(err)
		}
		path.To = mac
		for j, vip := range []netip.AddrPort{web4(), web6()} {
			aim := flood.Aim{Path: path, Stranger: strangerAddr, Machine: machine.addr, VIP: vip}
			if _, err := inside.Run(ctx, frames/4, 20_000, flood.Garbage(aim, rand.New(rand.NewPCG(uint64(5+i), uint64(j))))); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, 30*time.Second, allServed)
	for name, pid := range programPids(t) {
		if pids[name] != pid {
			t.Errorf("%s was process %d and is %d now", name, pids[name], pid)
		}
	}
	after := totalDrops(t)
	for _, machine := range fabricMachines() {
		if after[machine.id] < before[machine.id]+frames/10 {
			t.Errorf("%s counted %d drops of the garbage it got", machine.id, after[machine.id]-before[machine.id])
		}
	}
}

var strangerAddr = netip.MustParseAddr("10.20.0.250")

// stranger plugs a machine into the fabric that is no part of the cluster.
func stranger(t *testing.T) (*flood.Sender, flood.Path) {
	t.Helper()
	const name = "weir-stranger"
	if err := netns.Delete(name); err != nil {
		t.Fatal(err)
	}
	if err := netns.Add(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { netns.Delete(name) })
	if err := netns.Veth(name, "eth0", topology.FabricName, "stranger", topology.MTU); err != nil {
		t.Fatal(err)
	}
	if err := netns.Enslave(topology.FabricName, "stranger", "south"); err != nil {
		t.Fatal(err)
	}
	sender, err := flood.NewSender(name, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.Close)
	mac, err := netns.MAC(name, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	return sender, flood.Path{From: mac}
}

type fabricMachine struct {
	id, namespace, device string
	addr                  netip.Addr
}

func fabricMachines() (all []fabricMachine) {
	for _, n := range theLab.Top.Nodes {
		all = append(all, fabricMachine{n.ID, n.Namespace, "south0", n.South.Addr()})
	}
	for _, s := range theLab.Top.Servers {
		all = append(all, fabricMachine{s.ID, s.Namespace, "eth0", s.Address.Addr()})
	}
	return all
}

// totalDrops sums the drop counters of every machine on the fabric.
func totalDrops(t *testing.T) map[string]uint64 {
	t.Helper()
	drops := map[string]uint64{}
	for _, n := range theLab.Top.Nodes {
		status, err := theLab.NodeStatus(context.Background(), n)
		if err != nil {
			t.Fatal(err)
		}
		for _, count := range status.GetDataplane().GetDrops() {
			drops[n.ID] += count
		}
	}
	for _, s := range theLab.Top.Servers {
		status, err := theLab.ModuleStatus(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, count := range status.Drops {
			drops[s.ID] += count
		}
	}
	return drops
}

// programPids names every running program of ours.
func programPids(t *testing.T) map[string]int {
	t.Helper()
	pids := map[string]int{}
	for _, n := range theLab.Top.Nodes {
		for _, name := range []string{"dataplane", "noded"} {
			pids[filepath.Join(n.ID, name)] = theLab.Pid(n.ID, name)
		}
	}
	for _, s := range theLab.Top.Servers {
		pids[filepath.Join(s.ID, "lbmodule")] = theLab.Pid(s.ID, "lbmodule")
	}
	for name, pid := range pids {
		if pid == 0 {
			t.Errorf("%s is not running", name)
		}
	}
	return pids
}
