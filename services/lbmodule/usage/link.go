package usage

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// Bytes are what an interface received and sent since it came up.
func Bytes(index int) (received, sent uint64, err error) {
	l, err := netlink.LinkByIndex(index)
	if err != nil {
		return 0, 0, fmt.Errorf("read counters of interface %d: %w", index, err)
	}
	if s := l.Attrs().Statistics; s != nil {
		return s.RxBytes, s.TxBytes, nil
	}
	return 0, 0, fmt.Errorf("interface %s has no counters", l.Attrs().Name)
}
