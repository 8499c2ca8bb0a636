// The mempool's back end: a multi-producer, multi-consumer rte_ring, because
// frames are allocated on one core and freed on another. DPDK's own driver for
// this cannot be linked by name (see drivers.c).
#include <stdio.h>

#include <rte_config.h>
#include <rte_errno.h>
#include <rte_mempool.h>
#include <rte_ring.h>

static int ring_alloc(struct rte_mempool *mp)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "q_%.20s", mp->name);
	mp->pool_data = rte_ring_create(name, rte_align32pow2(mp->size + 1), mp->socket_id, 0);
	return mp->pool_data == NULL ? -rte_errno : 0;
}

static void ring_free(struct rte_mempool *mp)
{
	rte_ring_free(mp->pool_data);
}

static int ring_enqueue(struct rte_mempool *mp, void *const *obj, unsigned int n)
{
	return rte_ring_mp_enqueue_bulk(mp->pool_data, obj, n, NULL) == 0 ? -ENOBUFS : 0;
}

static int ring_dequeue(struct rte_mempool *mp, void **obj, unsigned int n)
{
	return rte_ring_mc_dequeue_bulk(mp->pool_data, obj, n, NULL) == 0 ? -ENOBUFS : 0;
}

static unsigned int ring_count(const struct rte_mempool *mp)
{
	return rte_ring_count(mp->pool_data);
}

static const struct rte_mempool_ops ring_mp_mc = {
	.name = "ring_mp_mc",
	.alloc = ring_alloc,
	.free = ring_free,
	.enqueue = ring_enqueue,
	.dequeue = ring_dequeue,
	.get_count = ring_count,
};

RTE_MEMPOOL_REGISTER_OPS(ring_mp_mc)
