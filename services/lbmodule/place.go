package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// uplink finds the interface towards the fabric: by name, else by the server's address.
func uplink(name string, address netip.Addr) (*net.Interface, error) {
	if name != "" {
		ifc, err := net.InterfaceByName(name)
		if err != nil {
			return nil, fmt.Errorf("interface %s is not there; set uplink in the module file to the interface towards the LB nodes", name)
		}
		return ifc, nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for i := range all {
		addresses, err := all[i].Addrs()
		if err != nil {
			continue // it has just gone
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == address {
				return &all[i], nil
			}
		}
	}
	return nil, fmt.Errorf("no interface has the server's address %s; add it, or correct the cluster file", address)
}

// bpfRoot is where systemd mounts the bpf file system; others may have to.
const bpfRoot = "/sys/fs/bpf"

// bpfMagic is the type of a bpf file system in statfs(2).
const bpfMagic = 0xcafe4a11

// makePinDir makes the directory of the pins on a bpf file system.
func makePinDir(dir string) error {
	if strings.HasPrefix(dir, bpfRoot+"/") && !onBPF(bpfRoot) {
		if err := unix.Mount("bpf", bpfRoot, "bpf", 0, "mode=0700"); err != nil {
			return fmt.Errorf("mount the bpf file system on %s: %w", bpfRoot, err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory for pinned maps: %w", err)
	}
	if !onBPF(dir) {
		os.Remove(dir) // only if it is empty
		return fmt.Errorf("%s is not on a bpf file system; mount one there: mount -t bpf bpf DIRECTORY", dir)
	}
	return nil
}

func onBPF(dir string) bool {
	var s unix.Statfs_t
	return unix.Statfs(dir, &s) == nil && uint32(s.Type) == bpfMagic
}
