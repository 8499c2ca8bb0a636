// Package dpdk binds exactly the DPDK calls that the dataplane uses, under
// DPDK's own names: eal.go (environment), mempool.go, ethdev.go (ports),
// exchange.go (bursts). The control calls cross cgo one by one; packets cross
// it per burst: one Exchange call transmits, frees, allocates and receives
// (platform-facts: an empty crossing costs 22 ns, a packet's whole work less).
//
// Built against Debian's libdpdk-dev 22.11 (LTS), linked statically: a shared
// build would have to carry each driver as a plugin file, and the image has no
// place for those.
package dpdk

/*
#cgo CFLAGS: -I/usr/include/dpdk -I/usr/include/x86_64-linux-gnu/dpdk -O3 -march=x86-64-v3 -Wall -Wno-deprecated-declarations
#cgo LDFLAGS: -static -Wl,--wrap=dlopen -Wl,--wrap=getpwuid -Wl,--wrap=getaddrinfo
#cgo LDFLAGS: -l:librte_net_af_packet.a -l:librte_net_null.a -l:librte_net_ring.a
#cgo LDFLAGS: -l:librte_net_ixgbe.a -l:librte_net_i40e.a -l:librte_net_ice.a -l:librte_common_iavf.a -l:librte_net_e1000.a
#cgo LDFLAGS: -l:librte_bus_pci.a -l:librte_bus_vdev.a -l:librte_security.a -l:librte_cryptodev.a -l:librte_hash.a -l:librte_rcu.a
#cgo LDFLAGS: -l:librte_ethdev.a -l:librte_net.a -l:librte_mbuf.a -l:librte_mempool.a -l:librte_ring.a -l:librte_meter.a
#cgo LDFLAGS: -l:librte_pci.a -l:librte_eal.a -l:librte_telemetry.a -l:librte_kvargs.a
#cgo LDFLAGS: -lnuma -lbsd -lmd -lpthread -ldl -lm
*/
import "C"
