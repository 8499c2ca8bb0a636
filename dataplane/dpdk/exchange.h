// The per-thread exchange area: everything one crossing from Go needs. It lies
// outside the Go heap, belongs to one thread, and is laid out so that Go reads
// the arrays in place.
#ifndef WEIR_EXCHANGE_H
#define WEIR_EXCHANGE_H

#include <stdint.h>

#define WEIR_SIDES 2     // packet.NumPorts: north, south
#define WEIR_RX 32       // frames received per port and call
#define WEIR_TX 512      // frames waiting for transmission, per port
#define WEIR_FREE 512    // frames waiting to be freed
#define WEIR_CACHE 64    // empty frames at hand
#define WEIR_NO_PORT 0xffff

// Mirrors packet.Buf field by field; a test compares the offsets.
struct weir_buf {
	uintptr_t addr;   // first byte of the frame
	uintptr_t handle; // struct rte_mbuf *
	uint16_t len;
	uint16_t head;
	uint16_t tail;
	uint8_t port;     // side, not DPDK port
	uint8_t verdict;
};

struct weir_exchange {
	uintptr_t pool;               // struct rte_mempool *
	uint16_t rx_port[WEIR_SIDES]; // DPDK ports to receive from, or WEIR_NO_PORT
	uint16_t tx_port[WEIR_SIDES]; // DPDK ports to transmit on, or WEIR_NO_PORT

	uint32_t n_tx[WEIR_SIDES];
	uint32_t n_rx;
	uint32_t n_free;
	uint32_t n_cache;
	uint32_t want_cache;          // fill the cache up to here; 0: this thread makes no frames

	uint64_t rx_oversize;         // frames dropped because they did not fit one buffer
	uint64_t rx_bytes[WEIR_SIDES];
	uint64_t tx_frames[WEIR_SIDES];
	uint64_t tx_bytes[WEIR_SIDES];
	uint64_t tx_full[WEIR_SIDES]; // frames dropped because the NIC's queue stayed full
	uint64_t no_buffer;           // times the pool could not fill the cache

	struct weir_buf rx[WEIR_SIDES * WEIR_RX] __attribute__((aligned(64)));
	struct weir_buf cache[WEIR_CACHE] __attribute__((aligned(64)));
	struct weir_buf tx[WEIR_SIDES][WEIR_TX] __attribute__((aligned(64)));
	uintptr_t free[WEIR_FREE] __attribute__((aligned(64)));
};

// weir_exchange_run transmits what waits in tx, frees what waits in free,
// fills the cache and receives one burst from each rx port into rx.
void weir_exchange_run(uintptr_t exchange);

#endif
