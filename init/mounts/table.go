// Package mounts makes the kernel's file systems appear where programs expect
// them, and the folders of a node's own (the phase "mounts").
package mounts

import "golang.org/x/sys/unix"

// Mount is one file system to mount.
type Mount struct {
	Source, Target, Type string
	Flags                uintptr
	Data                 string
	Needed               bool   // the node is no node without it
	If                   string // mounted only where this path exists; empty: always
}

const guarded = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// Early are mounted before anything else is done.
var Early = []Mount{
	{Source: "proc", Target: "/proc", Type: "proc", Flags: guarded, Needed: true},
	{Source: "sysfs", Target: "/sys", Type: "sysfs", Flags: guarded, Needed: true},
	{Source: "devtmpfs", Target: "/dev", Type: "devtmpfs", Flags: unix.MS_NOSUID, Data: "mode=0755", Needed: true},
	{Source: "devpts", Target: "/dev/pts", Type: "devpts", Flags: unix.MS_NOSUID | unix.MS_NOEXEC, Data: "mode=0620,ptmxmode=0666", Needed: true},
	{Source: "tmpfs", Target: "/dev/shm", Type: "tmpfs", Flags: unix.MS_NOSUID | unix.MS_NODEV, Data: "mode=1777,size=25%"},
	{Source: "tmpfs", Target: "/tmp", Type: "tmpfs", Flags: unix.MS_NOSUID | unix.MS_NODEV, Data: "mode=1777,size=25%", Needed: true},
	{Source: "tmpfs", Target: "/run", Type: "tmpfs", Flags: unix.MS_NOSUID | unix.MS_NODEV, Data: "mode=0755,size=10%", Needed: true},
	{Source: "cgroup2", Target: "/sys/fs/cgroup", Type: "cgroup2", Flags: guarded, Data: "nsdelegate"},
	{Source: "bpf", Target: "/sys/fs/bpf", Type: "bpf", Flags: guarded, Data: "mode=0700", If: "/sys/fs/bpf"},
	{Source: "pstore", Target: "/sys/fs/pstore", Type: "pstore", Flags: guarded, If: "/sys/fs/pstore"},
	{Source: "securityfs", Target: "/sys/kernel/security", Type: "securityfs", Flags: guarded, If: "/sys/kernel/security"},
	{Source: "hugetlbfs", Target: "/dev/hugepages", Type: "hugetlbfs", Flags: unix.MS_NOSUID | unix.MS_NODEV, Data: "mode=0700,pagesize=2M", If: "/sys/kernel/mm/hugepages/hugepages-2048kB"},
	{Source: "hugetlbfs", Target: "/dev/hugepages1G", Type: "hugetlbfs", Flags: unix.MS_NOSUID | unix.MS_NODEV, Data: "mode=0700,pagesize=1G", If: "/sys/kernel/mm/hugepages/hugepages-1048576kB"},
}

// Late need a kernel module first: Debian's kernel has efivarfs as one.
var Late = []Mount{
	{Source: "efivarfs", Target: "/sys/firmware/efi/efivars", Type: "efivarfs", Flags: guarded, If: "/sys/firmware/efi/efivars"},
}
