package main

import (
	"fmt"

	"weir/services/api"
)

// What the fakes say of a healthy node, the third of three.

func goodBoot() *api.BootStatus {
	b := &api.BootStatus{Version: "0.4.0", Slot: "a", ConfigSource: "disk", UptimeSeconds: 751, Kernel: "6.1.0-28-amd64",
		ClockSource: "ntp 10.30.0.2", Watchdog: "i6300esb, 30 s", CommandLine: "console=ttyS0,115200 weir.slot=a",
		Identity: &api.Identity{Uuid: "4c4c4544-0042-3510-8053-b4c04f564433", Serial: "7ZB5VD3", Vendor: "QEMU", Product: "Standard PC (Q35 + ICH9, 2009)"},
		State:    &api.State{Device: "/dev/vda3", Mode: "read-write", Size: 512 << 20, Free: 480 << 20},
		Nics: []*api.Nic{
			{Role: "north", Pci: "0000:00:03.0", Mac: "52:54:00:00:01:11", VendorDevice: "1af4:1041", Driver: "vfio-pci", Wanted: "mac:52:54:00:00:01:11"},
			{Role: "south", Pci: "0000:00:04.0", Mac: "52:54:00:00:02:11", VendorDevice: "1af4:1041", Driver: "vfio-pci", Wanted: "mac:52:54:00:00:02:11"},
			{Role: "control", Pci: "0000:00:05.0", Mac: "52:54:00:00:03:11", VendorDevice: "1af4:1041", Driver: "virtio_net", Wanted: "mac:52:54:00:00:03:11"},
			{Pci: "0000:00:06.0", Mac: "52:54:00:00:04:11", VendorDevice: "8086:10d3", Driver: "e1000e"},
		}}
	at := 0.6
	for i, name := range []string{"mounts", "modules", "identity", "state", "clock", "configuration", "network", "hugepages", "nics", "kernel", "services"} {
		took := 0.05 * float64(i+1)
		b.Phases = append(b.Phases, &api.Phase{Name: name, Result: "ok", StartedSeconds: at, TookSeconds: took})
		if name == "configuration" {
			b.Phases[i].Reason = "disk, node lb1, which is longer than any line has room for"
		}
		at += took
	}
	return b
}

func goodServices() []*api.Service {
	return []*api.Service{
		{Name: "console-ttyS0", State: "ready", Pid: 210, SinceSeconds: 748, CpuSeconds: 0.4, Memory: 21 << 20},
		{Name: "dataplane", State: "ready", Pid: 231, SinceSeconds: 744, CpuSeconds: 301.5, Memory: 96 << 20},
		{Name: "noded", State: "ready", Pid: 232, SinceSeconds: 743, CpuSeconds: 17.1, Memory: 54 << 20},
	}
}

func goodLogs() map[string][]*api.LogLine {
	kernel := []*api.LogLine{}
	for i := range 60 {
		kernel = append(kernel, &api.LogLine{Seconds: float64(i) / 10, Text: fmt.Sprintf("pci 0000:00:%02x.0: line %d", i, i+1)})
	}
	return map[string][]*api.LogLine{"kernel": kernel, "console-ttyS0": nil,
		"init":      {{Seconds: 0.61, Text: "level=INFO msg=\"phase done\" phase=mounts"}},
		"dataplane": {{Seconds: 7.4, Text: "time=2026-11-23T14:48:04Z level=INFO msg=\"forwarding is ready\""}},
		"noded":     {{Seconds: 9.1, Text: "time=2026-11-23T14:48:06Z level=WARN msg=\"bgp session is down\" router=10.10.0.1\x1b[2J"}}}
}

func goodNode() *api.NodeStatus {
	n := &api.NodeStatus{Id: "lb1", Cluster: "lab", Version: "0.4.0", UptimeSeconds: 743, Generation: "9f3a11c2", RingEpoch: 7, Settled: true, Learned: true,
		Milestones: &api.Milestones{DataplaneReady: 5.9, StateComplete: 8.2, Announced: 9.4, TrafficReady: 9.4}}
	for i := 1; i <= 3; i++ {
		n.Nodes = append(n.Nodes, &api.NodeView{Id: fmt.Sprintf("lb%d", i), Number: uint32(i), Health: "healthy", Phase: "announced",
			North: fmt.Sprintf("10.10.0.1%d", i), South: fmt.Sprintf("10.20.0.1%d", i), RingShare: 1 / 3.0, RttNorthMs: 0.41, RttSouthMs: 0.39})
	}
	for i := 1; i <= 4; i++ {
		n.Servers = append(n.Servers, &api.ServerView{Id: fmt.Sprintf("srv%d", i), Number: uint32(i), Health: "healthy",
			Address: fmt.Sprintf("10.20.0.10%d", i), Weight: 100, CheckedHere: i < 3})
	}
	for i, slot := range []string{"left", "right"} {
		n.Bgp = append(n.Bgp, &api.BgpSession{Node: "lb1", Advertises: fmt.Sprintf("lb%d", i+2), Slot: slot, Peer: "10.10.0.1",
			Source: fmt.Sprintf("10.10.0.1%d1", i+1), State: "established", SinceSeconds: 740, Prefixes: 2})
	}
	return n
}

func goodDataplane() *api.DataplaneStatus {
	return &api.DataplaneStatus{Version: "0.4.0", UptimeSeconds: 744,
		Ports: []*api.Port{
			{Name: "north", Device: "pci:0000:00:03.0", Mac: []byte{0x52, 0x54, 0, 0, 1, 0x11}, LinkUp: true, RxPackets: 912331, TxPackets: 804112},
			{Name: "south", Device: "pci:0000:00:04.0", Mac: []byte{0x52, 0x54, 0, 0, 2, 0x11}, LinkUp: true, RxPackets: 811020, TxPackets: 914002},
		},
		Workers:         []*api.Worker{{Core: 1, Stage: "all", Busy: 0.07, Packets: 1723351}},
		Flows:           &api.Flows{Established: 1234, HalfOpen: 3, Capacity: 262144, HalfOpenCapacity: 65536},
		Drops:           map[string]uint64{"ring_full": 0, "not_served": 17},
		Neighbours:      []*api.Neighbour{{Id: "10.10.0.1", Address: []byte{10, 10, 0, 1}, Mac: []byte{0x52, 0x54, 0, 0, 0, 1}, State: "reachable", Port: "north"}},
		BuffersCapacity: 20000, BuffersFree: 18000}
}
