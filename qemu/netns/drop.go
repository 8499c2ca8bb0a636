package netns

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// DropIngress lets the kernel see nothing that arrives on the interface.
// Packet sockets tap frames before this point, so a DPDK af_packet port still
// gets everything; what the kernel gets, it gets from that port's program.
func DropIngress(ns, name string) error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name:    "drop_all",
		Type:    ebpf.SchedCLS,
		License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R0, 2), // TC_ACT_SHOT
			asm.Return(),
		},
	})
	if err != nil {
		return fmt.Errorf("load the dropping tc program: %w", err)
	}
	defer prog.Close()
	return change(ns, name, func(h *netlink.Handle, l netlink.Link) error {
		qdisc := &netlink.GenericQdisc{
			QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Parent: netlink.HANDLE_CLSACT, Handle: netlink.MakeHandle(0xffff, 0)},
			QdiscType:  "clsact",
		}
		if err := h.QdiscAdd(qdisc); err != nil {
			return fmt.Errorf("add clsact: %w", err)
		}
		filter := &netlink.BpfFilter{
			FilterAttrs:  netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: netlink.HANDLE_MIN_INGRESS, Handle: 1, Protocol: unix.ETH_P_ALL, Priority: 1},
			Fd:           prog.FD(),
			Name:         "drop_all",
			DirectAction: true,
		}
		if err := h.FilterAdd(filter); err != nil {
			return fmt.Errorf("add filter: %w", err)
		}
		return nil
	})
}
