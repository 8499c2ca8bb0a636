package bpf

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Our filters among others of an interface.
const (
	filterName     = "weir"
	filterPriority = 1
	filterHandle   = 0x6080
)

func parentOf(ingress bool) uint32 {
	if ingress {
		return netlink.HANDLE_MIN_INGRESS
	}
	return netlink.HANDLE_MIN_EGRESS
}

// attachFilter puts a program on the interface's clsact qdisc, exchanging an
// earlier one in place.
func (h *hook) attachFilter() error {
	q := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: h.index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
	if err := netlink.QdiscAdd(q); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add the clsact qdisc: %w", err)
	}
	f := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: h.index, Parent: parentOf(h.ingress), Handle: filterHandle, Priority: filterPriority, Protocol: unix.ETH_P_ALL,
		},
		Fd: h.program.FD(), Name: filterName, DirectAction: true,
	}
	if err := netlink.FilterReplace(f); err != nil {
		return fmt.Errorf("add the tc filter: %w", err)
	}
	return nil
}

// DetachFilters removes the module's filters from an interface, and its clsact
// qdisc when nothing else uses it.
func DetachFilters(index int) error {
	l, err := netlink.LinkByIndex(index)
	if err != nil {
		return nil // the filters went with the interface
	}
	ours, others := 0, 0
	for _, ingress := range []bool{true, false} {
		filters, err := netlink.FilterList(l, parentOf(ingress))
		if err != nil {
			continue // no clsact qdisc
		}
		for _, f := range filters {
			b, ok := f.(*netlink.BpfFilter)
			if !ok || b.Name != filterName || b.Handle != filterHandle {
				others++
				continue
			}
			ours++
			if err := netlink.FilterDel(f); err != nil {
				return fmt.Errorf("remove the tc filter from %s: %w", l.Attrs().Name, err)
			}
		}
	}
	if ours == 0 || others > 0 {
		return nil
	}
	return removeClsact(l)
}

func removeClsact(l netlink.Link) error {
	qdiscs, err := netlink.QdiscList(l)
	if err != nil {
		return fmt.Errorf("list qdiscs of %s: %w", l.Attrs().Name, err)
	}
	for _, q := range qdiscs {
		if q.Type() != "clsact" {
			continue
		}
		if err := netlink.QdiscDel(q); err != nil {
			return fmt.Errorf("remove the clsact qdisc from %s: %w", l.Attrs().Name, err)
		}
	}
	return nil
}
