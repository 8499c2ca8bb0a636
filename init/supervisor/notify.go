package supervisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// message is one datagram of sd_notify(3).
type message struct {
	pid  int // of the sender, as the kernel says
	vars map[string]string
}

// listenNotify opens the socket that services send to.
func listenNotify(path string) (*net.UnixConn, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("make the socket of sd_notify: %w", err)
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		return nil, fmt.Errorf("make the socket of sd_notify: %w", err)
	}
	raw, err := c.SyscallConn()
	if err == nil {
		cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
		err = errors.Join(cerr, err, os.Chmod(path, 0o600))
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("prepare the socket of sd_notify: %w", err)
	}
	return c, nil
}

// receiveNotify gives every message until the socket is closed.
func receiveNotify(c *net.UnixConn, give func(message)) {
	buf, oob := make([]byte, 4096), make([]byte, 256)
	for {
		n, nOOB, _, _, err := c.ReadMsgUnix(buf, oob)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		pid, ok := sender(oob[:nOOB])
		if ok {
			give(message{pid: pid, vars: parseNotify(string(buf[:n]))})
		}
	}
}

// sender reads the credentials that the kernel attached, and closes what files
// a message may carry: nothing here wants any.
func sender(oob []byte) (pid int, ok bool) {
	all, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, false
	}
	for i := range all {
		if cred, err := unix.ParseUnixCredentials(&all[i]); err == nil {
			pid, ok = int(cred.Pid), true
		}
		if files, err := unix.ParseUnixRights(&all[i]); err == nil {
			for _, fd := range files {
				syscall.Close(fd)
			}
		}
	}
	return pid, ok
}

func parseNotify(text string) map[string]string {
	vars := map[string]string{}
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			vars[k] = v
		}
	}
	return vars
}
