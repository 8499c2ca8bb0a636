#include <rte_config.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_prefetch.h>

#include "exchange.h"

// How often a full transmit queue is tried again before its frames are
// dropped: a NIC needs a moment, a stuck one must not stop the receive side.
#define TX_RETRIES 4

static inline void name_frame(struct weir_buf *b, struct rte_mbuf *m, uint8_t side)
{
	b->addr = rte_pktmbuf_mtod(m, uintptr_t);
	b->handle = (uintptr_t)m;
	b->len = rte_pktmbuf_data_len(m);
	b->head = rte_pktmbuf_headroom(m);
	b->tail = rte_pktmbuf_tailroom(m);
	b->port = side;
	b->verdict = 0;
}

static void transmit(struct weir_exchange *x, int side)
{
	struct rte_mbuf *m[WEIR_TX];
	uint32_t n = x->n_tx[side], done = 0;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct weir_buf *b = &x->tx[side][i];
		m[i] = (struct rte_mbuf *)b->handle;
		m[i]->data_off = (uint16_t)(b->addr - (uintptr_t)m[i]->buf_addr);
		m[i]->data_len = b->len;
		m[i]->pkt_len = b->len;
		m[i]->ol_flags = 0; // nothing is offloaded, and receive flags mean nothing here
		bytes += b->len;
	}
	x->n_tx[side] = 0;
	if (x->tx_port[side] != WEIR_NO_PORT) {
		for (int tries = 0; done < n && tries < TX_RETRIES; tries++)
			done += rte_eth_tx_burst(x->tx_port[side], 0, m + done, n - done);
	}
	for (uint32_t i = done; i < n; i++)
		bytes -= x->tx[side][i].len;
	x->tx_frames[side] += done;
	x->tx_bytes[side] += bytes;
	if (done < n) {
		x->tx_full[side] += n - done;
		rte_pktmbuf_free_bulk(m + done, n - done);
	}
}

static void receive(struct weir_exchange *x, int side)
{
	struct rte_mbuf *m[WEIR_RX];
	uint16_t n = rte_eth_rx_burst(x->rx_port[side], 0, m, WEIR_RX);
	uint32_t named = x->n_rx; // locals: the frames' fields might alias the counters
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (unlikely(m[i]->nb_segs != 1)) {
			x->rx_oversize++;
			rte_pktmbuf_free(m[i]);
			continue;
		}
		bytes += m[i]->data_len;
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *)); // the NIC wrote it, the core has not seen it
		name_frame(&x->rx[named++], m[i], (uint8_t)side);
	}
	x->n_rx = named;
	x->rx_bytes[side] += bytes;
}

static void fill(struct weir_exchange *x)
{
	struct rte_mbuf *m[WEIR_CACHE];
	uint32_t n = x->want_cache - x->n_cache;

	if (rte_pktmbuf_alloc_bulk((struct rte_mempool *)x->pool, m, n) != 0) {
		x->no_buffer++;
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		name_frame(&x->cache[x->n_cache++], m[i], 0);
}

void weir_exchange_run(uintptr_t exchange)
{
	struct weir_exchange *x = (struct weir_exchange *)exchange;

	for (int side = 0; side < WEIR_SIDES; side++)
		if (x->n_tx[side] != 0)
			transmit(x, side);
	if (x->n_free != 0) {
		rte_pktmbuf_free_bulk((struct rte_mbuf **)x->free, x->n_free);
		x->n_free = 0;
	}
	if (x->n_cache < x->want_cache)
		fill(x);
	x->n_rx = 0;
	for (int side = 0; side < WEIR_SIDES; side++)
		if (x->rx_port[side] != WEIR_NO_PORT)
			receive(x, side);
}
