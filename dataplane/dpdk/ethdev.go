package dpdk

/*
#include <stdlib.h>
#include <string.h>
#include <rte_config.h>
#include <rte_ethdev.h>
#include <rte_bus_vdev.h>

// link_status is a bit field, which cgo cannot read.
static int weir_link_up(struct rte_eth_link *l) { return l->link_status; }

static int weir_configure(uint16_t port, uint16_t mtu, int interrupts)
{
	struct rte_eth_conf conf;
	memset(&conf, 0, sizeof(conf));
	conf.rxmode.mtu = mtu;
	conf.intr_conf.rxq = interrupts;
	return rte_eth_dev_configure(port, 1, 1, &conf);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"
)

// PortID is DPDK's number of a port.
type PortID uint16

// Stats are a port's counters since start (rte_eth_stats).
type Stats struct {
	RxFrames, TxFrames, RxBytes, TxBytes uint64
	RxMissed, RxErrors, TxErrors, NoBuf  uint64
}

// Attach creates a virtual device (net_af_packet…, net_null…, net_ring…) and
// returns its port.
func Attach(name, args string) (PortID, error) {
	n, a := C.CString(name), C.CString(args)
	defer C.free(unsafe.Pointer(n))
	defer C.free(unsafe.Pointer(a))
	if r := C.rte_vdev_init(n, a); r < 0 {
		return NoPort, fmt.Errorf("create %s (%s): %w", name, args, syscall.Errno(-r))
	}
	return PortByName(name)
}

// Detach removes a virtual device; its port must be closed or about to be.
func Detach(name string) error {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	if r := C.rte_vdev_uninit(n); r < 0 {
		return fmt.Errorf("remove %s: %w", name, syscall.Errno(-r))
	}
	return nil
}

// PortByName finds the port of a device: a virtual one's name or a PCI address.
func PortByName(name string) (PortID, error) {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	var id C.uint16_t
	if r := C.rte_eth_dev_get_port_by_name(n, &id); r < 0 {
		return NoPort, fmt.Errorf("DPDK drives no device %s", name)
	}
	return PortID(id), nil
}

// Configure readies a port with one queue each way, of desc descriptors, that
// takes its frames from pool. Drivers round desc to what they can. With
// interrupts the receive queue can wake who waits for it.
func (p PortID) Configure(pool *Mempool, mtu uint16, desc uint16, interrupts bool) error {
	id := C.uint16_t(p)
	want := C.int(0)
	if interrupts {
		want = 1
	}
	if r := C.weir_configure(id, C.uint16_t(mtu), want); r < 0 {
		return fmt.Errorf("configure port %d: %w", p, syscall.Errno(-r))
	}
	rx, tx := C.uint16_t(desc), C.uint16_t(desc)
	if r := C.rte_eth_dev_adjust_nb_rx_tx_desc(id, &rx, &tx); r < 0 {
		return fmt.Errorf("size the queues of port %d: %w", p, syscall.Errno(-r))
	}
	socket := C.uint(C.rte_eth_dev_socket_id(id))
	if r := C.rte_eth_rx_queue_setup(id, 0, rx, socket, nil, pool.p); r < 0 {
		return fmt.Errorf("set up the receive queue of port %d: %w", p, syscall.Errno(-r))
	}
	if r := C.rte_eth_tx_queue_setup(id, 0, tx, socket, nil); r < 0 {
		return fmt.Errorf("set up the transmit queue of port %d: %w", p, syscall.Errno(-r))
	}
	return nil
}

// Start starts a port and lets multicast in, which neighbour discovery needs.
func (p PortID) Start() error {
	if r := C.rte_eth_dev_start(C.uint16_t(p)); r < 0 {
		return fmt.Errorf("start port %d: %w", p, syscall.Errno(-r))
	}
	if r := C.rte_eth_allmulticast_enable(C.uint16_t(p)); r < 0 && r != -C.ENOTSUP {
		return fmt.Errorf("let multicast into port %d: %w", p, syscall.Errno(-r))
	}
	return nil
}

// InterruptFD is the eventfd of a started port's receive queue; -1: it has none.
func (p PortID) InterruptFD() int { return int(C.rte_eth_dev_rx_intr_ctl_q_get_fd(C.uint16_t(p), 0)) }

// EnableInterrupt has the next frame signal the queue's eventfd. A frame that
// came before does not: look once more.
func (p PortID) EnableInterrupt() { C.rte_eth_dev_rx_intr_enable(C.uint16_t(p), 0) }

// DisableInterrupt undoes it.
func (p PortID) DisableInterrupt() { C.rte_eth_dev_rx_intr_disable(C.uint16_t(p), 0) }

// Close stops a port and frees its resources.
func (p PortID) Close() error {
	stop := C.rte_eth_dev_stop(C.uint16_t(p))
	if r := C.rte_eth_dev_close(C.uint16_t(p)); r < 0 {
		return fmt.Errorf("close port %d: %w", p, syscall.Errno(-r))
	}
	if stop < 0 {
		return fmt.Errorf("stop port %d: %w", p, syscall.Errno(-stop))
	}
	return nil
}

// MAC is the port's address.
func (p PortID) MAC() (mac [6]byte, err error) {
	var a C.struct_rte_ether_addr
	if r := C.rte_eth_macaddr_get(C.uint16_t(p), &a); r < 0 {
		return mac, fmt.Errorf("read the address of port %d: %w", p, syscall.Errno(-r))
	}
	return *(*[6]byte)(unsafe.Pointer(&a.addr_bytes)), nil
}

// LinkUp reports whether the port has link now.
func (p PortID) LinkUp() (bool, error) {
	var l C.struct_rte_eth_link
	if r := C.rte_eth_link_get_nowait(C.uint16_t(p), &l); r < 0 {
		return false, fmt.Errorf("read the link of port %d: %w", p, syscall.Errno(-r))
	}
	return C.weir_link_up(&l) != 0, nil
}

// Stats reads the port's counters.
func (p PortID) Stats() (Stats, error) {
	var s C.struct_rte_eth_stats
	if r := C.rte_eth_stats_get(C.uint16_t(p), &s); r < 0 {
		return Stats{}, fmt.Errorf("read the counters of port %d: %w", p, syscall.Errno(-r))
	}
	return Stats{
		RxFrames: uint64(s.ipackets), TxFrames: uint64(s.opackets), RxBytes: uint64(s.ibytes), TxBytes: uint64(s.obytes),
		RxMissed: uint64(s.imissed), RxErrors: uint64(s.ierrors), TxErrors: uint64(s.oerrors), NoBuf: uint64(s.rx_nombuf),
	}, nil
}

// Driver is the name of the port's driver.
func (p PortID) Driver() (string, error) {
	var i C.struct_rte_eth_dev_info
	if r := C.rte_eth_dev_info_get(C.uint16_t(p), &i); r < 0 {
		return "", errors.New("read the driver's name")
	}
	return C.GoString(i.driver_name), nil
}
