/*
 * The packets of the benchmarks. net_null delivers buffers with arbitrary bytes
 * in them; a receive callback writes a frame of one of many flows into each, so
 * the program that is measured sees real packets come out of its port, and C
 * and Go programs see the same ones at the same price.
 */
#ifndef WEIR_TRAFFIC_H
#define WEIR_TRAFFIC_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

/* One packet to write: which bytes of the template differ, in order of sending. */
struct traffic_flow {
	uint32_t client;   /* big-endian */
	uint16_t port;     /* big-endian */
	uint16_t checksum; /* of the patched IPv4 header */
};

struct traffic {
	uint8_t template[128];
	uint16_t length;      /* of a frame, bytes */
	uint16_t ip;          /* offset of the IPv4 header whose source, or destination, is the client */
	uint16_t client_at;   /* offset of the client's address */
	uint16_t port_at;     /* offset of the client's port */
	uint32_t flows, next; /* number of flows; the next to send */
	struct traffic_flow *flow;
};

static inline uint64_t traffic_random(uint64_t *state)
{
	/* splitmix64: the order of the packets depends on the seed only */
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static inline uint16_t traffic_ip_checksum(const uint8_t *ip)
{
	uint32_t sum = 0;
	for (int i = 0; i < 20; i += 2)
		if (i != 10)
			sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return rte_cpu_to_be_16((uint16_t)~sum);
}

/* Address and port of flow i: all different for fewer than 2^28 flows. */
static inline uint32_t traffic_client(uint32_t i)
{
	return (10u << 24) + (i >> 4);
}

static inline uint16_t traffic_port(uint32_t i)
{
	return (uint16_t)(1024 + (i & 15) * 4099);
}

/*
 * Prepares packets of `flows` flows. ip is the offset of the IPv4 header that
 * names the flow, client_at and port_at say where the client stands. Returns
 * NULL without memory.
 */
static inline struct traffic *traffic_new(const uint8_t *template, uint16_t length, uint16_t ip,
		uint16_t client_at, uint16_t port_at, uint32_t flows)
{
	struct traffic *t = calloc(1, sizeof *t);
	struct traffic_flow *f = malloc((size_t)flows * sizeof *f);
	uint64_t state = 42;

	if (t == NULL || f == NULL || length > sizeof t->template) {
		free(t);
		free(f);
		return NULL;
	}
	memcpy(t->template, template, length);
	t->length = length;
	t->ip = ip;
	t->client_at = client_at;
	t->port_at = port_at;
	t->flows = flows;
	t->flow = f;
	for (uint32_t i = 0; i < flows; i++) {
		f[i].client = rte_cpu_to_be_32(traffic_client(i));
		f[i].port = rte_cpu_to_be_16(traffic_port(i));
		memcpy(t->template + client_at, &f[i].client, 4);
		f[i].checksum = traffic_ip_checksum(t->template + ip);
	}
	for (uint32_t i = flows - 1; i > 0; i--) { /* Fisher and Yates */
		uint32_t j = (uint32_t)(traffic_random(&state) % (i + 1));
		struct traffic_flow x = f[i];
		f[i] = f[j];
		f[j] = x;
	}
	return t;
}

/* The receive callback. */
static inline uint16_t traffic_fill(uint16_t port, uint16_t queue, struct rte_mbuf *pkts[],
		uint16_t n, uint16_t max, void *arg)
{
	struct traffic *t = arg;

	(void)port, (void)queue, (void)max;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct traffic_flow *f = &t->flow[t->next];
		uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);

		if (++t->next == t->flows)
			t->next = 0;
		memcpy(p, t->template, 64);
		if (t->length > 64)
			memcpy(p + 64, t->template + 64, 64);
		memcpy(p + t->client_at, &f->client, 4);
		memcpy(p + t->port_at, &f->port, 2);
		memcpy(p + t->ip + 10, &f->checksum, 2);
		m->data_len = t->length;
		m->pkt_len = t->length;
	}
	return n;
}

/* A client's bare TCP segment to 203.0.113.10:80, 64 bytes with padding. */
static inline struct traffic *traffic_ingress(uint32_t flows)
{
	static const uint8_t frame[64] = {
		0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x00,
		0x45, 0, 0, 50, 0, 0, 0x40, 0, 64, 6, 0, 0, 0, 0, 0, 0, 203, 0, 113, 10,
		0, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0,
	};
	return traffic_new(frame, sizeof frame, 14, 14 + 12, 34, flows);
}

/* A server's encapsulated reply, 10.20.0.101 to 10.20.0.11, 64 bytes of frame inside. */
static inline struct traffic *traffic_egress(uint32_t flows)
{
	static const uint8_t frame[92] = {
		0x02, 0, 0, 0, 0, 0x03, 0x02, 0, 0, 0, 0, 0x04, 0x08, 0x00,
		0x45, 0, 0, 78, 0, 0, 0x40, 0, 64, 17, 0x26, 0x08, 10, 20, 0, 101, 10, 20, 0, 11,
		0xc0, 0x01, 0x17, 0xc0, 0, 58, 0, 0,
		0x45, 0, 0, 50, 0, 0, 0x40, 0, 64, 6, 0, 0, 203, 0, 113, 10, 0, 0, 0, 0,
		0, 80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0,
	};
	return traffic_new(frame, sizeof frame, 42, 42 + 16, 64, flows);
}

#endif
