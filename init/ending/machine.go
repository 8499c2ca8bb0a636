package ending

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is what a test has none of.
type Machine interface {
	Sync()
	Release(mountpoint string) error // unmounts, or makes read-only what is in use
	End(How)                         // does not return
	KeysAsk() error                  // Ctrl-Alt-Del becomes SIGINT for PID 1
}

// Real is the real one.
type Real struct{}

func (Real) Sync() { unix.Sync() }

func (Real) Release(mountpoint string) error {
	err := unix.Unmount(mountpoint, 0)
	if err == nil || errors.Is(err, unix.EINVAL) { // nothing is mounted there
		return nil
	}
	if rerr := unix.Mount("", mountpoint, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); rerr != nil {
		return fmt.Errorf("leave the state partition clean: unmount: %w; make it read-only: %w", err, rerr)
	}
	return nil
}

func (Real) KeysAsk() error {
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF); err != nil {
		return fmt.Errorf("take over Ctrl-Alt-Del: %w", err)
	}
	return nil
}

// End tries until the machine is gone. Should the kernel not manage to, the
// hardware watchdog, which nobody feeds any more, does.
func (Real) End(how How) {
	command := unix.LINUX_REBOOT_CMD_RESTART
	switch how {
	case PowerOff:
		command = unix.LINUX_REBOOT_CMD_POWER_OFF
	case Kexec:
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_KEXEC) // returns if no kernel was loaded
	}
	for {
		_ = unix.Reboot(command)
		time.Sleep(time.Second)
	}
}
