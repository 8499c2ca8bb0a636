// Package traffic makes the packets of the benchmarks: see traffic.h, which the
// C program of comparison includes too.
package traffic

/*
#cgo CFLAGS: -I/usr/include/dpdk -I/usr/include/x86_64-linux-gnu/dpdk -O3 -march=x86-64-v3 -Wall -Wno-deprecated-declarations
#include <rte_config.h>
#include "traffic.h"

static int weir_traffic_attach(uint16_t port, struct traffic *t)
{
	return rte_eth_add_rx_callback(port, 0, traffic_fill, t) == NULL ? -1 : 0;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"net/netip"

	"weir/dataplane/dpdk"
)

// VIP is the public address and port of all flows.
var VIP = netip.MustParseAddrPort("203.0.113.10:80")

// Server and Node are the fabric addresses in the packets of Egress.
var (
	Server = netip.MustParseAddr("10.20.0.101")
	Node   = netip.MustParseAddr("10.20.0.11")
)

// Client is the client's address and port of flow i.
func Client(i int) netip.AddrPort {
	a := uint32(C.traffic_client(C.uint32_t(i)))
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), uint16(C.traffic_port(C.uint32_t(i))))
}

// Ingress lets a port receive bare packets of so many clients, in random order.
func Ingress(port dpdk.PortID, flows int) error {
	return attach(port, C.traffic_ingress(C.uint32_t(flows)))
}

// Egress lets a port receive a server's encapsulated replies to so many
// clients, in random order.
func Egress(port dpdk.PortID, flows int) error {
	return attach(port, C.traffic_egress(C.uint32_t(flows)))
}

// attach installs the receive callback, for the life of the process.
func attach(port dpdk.PortID, t *C.struct_traffic) error {
	if t == nil {
		return errors.New("no memory for the traffic of a benchmark")
	}
	if C.weir_traffic_attach(C.uint16_t(port), t) != 0 {
		return fmt.Errorf("install the receive callback of port %d", port)
	}
	return nil
}
