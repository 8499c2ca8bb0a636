package netns

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// States of a bridge port (linux/if_bridge.h).
const (
	portDisabled   = 0
	portForwarding = 3
)

// Block has a bridge neither take frames from its port nor send any to it,
// while the link stays up; or no longer.
func Block(ns, name string, on bool) error {
	state := byte(portForwarding)
	if on {
		state = portDisabled
	}
	return Do(ns, func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("block port %s: %w", name, err)
		}
		req := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
		msg := nl.NewIfInfomsg(unix.AF_BRIDGE)
		msg.Index = int32(l.Attrs().Index)
		req.AddData(msg)
		protinfo := nl.NewRtAttr(unix.IFLA_PROTINFO|unix.NLA_F_NESTED, nil)
		protinfo.AddRtAttr(nl.IFLA_BRPORT_STATE, []byte{state})
		req.AddData(protinfo)
		if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
			return fmt.Errorf("block port %s: %w", name, err)
		}
		return nil
	})
}
