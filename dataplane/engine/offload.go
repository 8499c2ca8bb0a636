package engine

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtoolValue is struct ethtool_value of linux/ethtool.h.
type ethtoolValue struct{ cmd, data uint32 }

// ifreqData is struct ifreq with its pointer member.
type ifreqData struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

// offloads are what must be off on an interface that a packet socket reads and
// writes: the kernel would count on hardware that is not there.
var offloads = []struct {
	name string
	cmd  uint32
}{
	{"tx checksumming", unix.ETHTOOL_STXCSUM},
	{"TCP segmentation", unix.ETHTOOL_STSO},
	{"generic segmentation", unix.ETHTOOL_SGSO},
	{"generic receive offload", unix.ETHTOOL_SGRO},
}

// readyInterface turns offloads off and the interface up.
func readyInterface(iface string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket for ioctl: %w", err)
	}
	defer unix.Close(fd)
	for _, o := range offloads {
		v := ethtoolValue{cmd: o.cmd}
		r := ifreqData{data: unsafe.Pointer(&v)}
		copy(r.name[:unix.IFNAMSIZ-1], iface)
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&r)))
		if e != 0 && e != unix.EOPNOTSUPP {
			return fmt.Errorf("turn off %s of %s (needs root): %w", o.name, iface, e)
		}
	}
	ifr, err := unix.NewIfreq(iface)
	if err != nil {
		return fmt.Errorf("interface %q: %w", iface, err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr); err != nil {
		return fmt.Errorf("read the flags of %s: %w", iface, err)
	}
	if ifr.Uint16()&unix.IFF_UP != 0 {
		return nil
	}
	ifr.SetUint16(ifr.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("set %s up (needs root): %w", iface, err)
	}
	return nil
}
