package netns

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Commands of linux/ethtool.h that take one value.
const (
	ethtoolSetRxCsum = 0x15
	ethtoolSetTxCsum = 0x17
	ethtoolSetSG     = 0x19
	ethtoolSetTSO    = 0x1f
	ethtoolSetGSO    = 0x24
	ethtoolSetGRO    = 0x2c
)

// OffloadsOff turns off every offload that would let a packet leave the
// interface unfinished.
func OffloadsOff(ns, name string) error {
	return Do(ns, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open control socket: %w", err)
		}
		defer unix.Close(fd)
		// Segmentation goes first: it cannot stay on without checksums.
		for _, command := range []uint32{ethtoolSetTSO, ethtoolSetGSO, ethtoolSetGRO, ethtoolSetSG, ethtoolSetTxCsum, ethtoolSetRxCsum} {
			if err := ethtool(fd, name, command, 0); err != nil {
				return fmt.Errorf("turn off offload %#x of %s in %s: %w", command, name, ns, err)
			}
		}
		return nil
	})
}

func ethtool(fd int, name string, command, value uint32) error {
	data := [2]uint32{command, value}
	var request struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	request.data = unsafe.Pointer(&data)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return errno
	}
	return nil
}
