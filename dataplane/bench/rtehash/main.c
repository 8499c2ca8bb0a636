/*
 * The yardstick of the ingress benchmark: what a worker does for a packet of an
 * established flow, in C with DPDK's own hash table. Receive a burst of 32 from
 * one net_null port, check and parse Ethernet/IPv4/TCP, find the flows with
 * rte_hash_lookup_bulk, encapsulate in the head room (Ethernet, IPv4 with
 * checksum, UDP; GUE variant 1), transmit on the other net_null port.
 *
 * usage: rtehash EAL-ARGUMENTS -- FLOWS PACKETS
 * After EAL is up it waits for a line on standard input before every round, so
 * that two programs can take turns, and prints one JSON object per round.
 * FLOWS 0 measures receiving and transmitting only.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "../traffic/traffic.h"

#define BURST 32
#define NORTH 0
#define SOUTH 1
#define SERVERS 4
#define DATA_PORT 6080

/* The same 40 bytes that name a flow in Go, so both address families fit, and 8
 * more: for keys of 48 bytes rte_hash has a comparison of its own. */
struct key {
	uint8_t client[16], vip[16];
	uint16_t client_port, vip_port;
	uint8_t proto, zero[11];
};

/* Outer headers. */
struct outer {
	struct rte_ether_hdr ether;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
} __rte_packed __rte_aligned(2);

/* Outer headers towards one server, and the sum of the IPv4 header without its length. */
struct target {
	struct outer outer;
	uint32_t sum;
};

static struct rte_hash *table;
static uint8_t *server_of; /* by position in the table */
static struct target target[SERVERS];
static uint64_t dropped;

static void fail(const char *what)
{
	fprintf(stderr, "rtehash: %s: %s\n", what, rte_strerror(rte_errno));
	exit(1);
}

static void map_ipv4(uint8_t to[16], uint32_t address)
{
	memset(to, 0, 10);
	to[10] = to[11] = 0xff;
	memcpy(to + 12, &address, 4);
}

/* The ones' complement sum of an IPv4 header without options: as a loop over
 * words, rte_raw_cksum costs several times as much here. 0xffff divides it if
 * the header is right. */
static inline uint64_t sum_ipv4(const struct rte_ipv4_hdr *ip)
{
	uint32_t w[5];

	memcpy(w, ip, sizeof w);
	return (uint64_t)w[0] + w[1] + w[2] + w[3] + w[4];
}

/* Checks what Go's packet.FlowOf checks, and makes the key; false: not a TCP packet. */
static inline int parse(const struct rte_mbuf *m, struct key *k)
{
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct rte_ipv4_hdr *ip = (const void *)(ether + 1);
	const struct rte_tcp_hdr *tcp = (const void *)(ip + 1);
	uint16_t total;

	if (m->data_len < sizeof *ether + sizeof *ip + sizeof *tcp)
		return 0;
	if (ether->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) || ip->version_ihl != RTE_IPV4_VHL_DEF)
		return 0;
	total = rte_be_to_cpu_16(ip->total_length);
	if (total < sizeof *ip + sizeof *tcp || total > m->data_len - sizeof *ether)
		return 0;
	if ((ip->fragment_offset & RTE_BE16(0x3fff)) || ip->next_proto_id != IPPROTO_TCP)
		return 0;
	if (sum_ipv4(ip) % 0xffff != 0)
		return 0;
	if ((tcp->data_off >> 4) * 4u < sizeof *tcp || (tcp->data_off >> 4) * 4u > total - sizeof *ip)
		return 0;
	if (tcp->tcp_flags & (RTE_TCP_SYN_FLAG | RTE_TCP_RST_FLAG))
		return 0;
	map_ipv4(k->client, ip->src_addr);
	map_ipv4(k->vip, ip->dst_addr);
	k->client_port = rte_be_to_cpu_16(tcp->src_port);
	k->vip_port = rte_be_to_cpu_16(tcp->dst_port);
	k->proto = IPPROTO_TCP;
	memset(k->zero, 0, sizeof k->zero);
	return 1;
}

static inline int encapsulate(struct rte_mbuf *m, const struct target *to, uint32_t hash)
{
	const struct rte_ipv4_hdr *inner = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, sizeof(struct rte_ether_hdr));
	uint16_t length = rte_be_to_cpu_16(inner->total_length);
	struct outer *o = (struct outer *)rte_pktmbuf_prepend(m, sizeof *o - sizeof o->ether);
	uint32_t sum = to->sum + length + sizeof o->udp + sizeof o->ip;

	if (o == NULL)
		return 0;
	*o = to->outer;
	o->udp.src_port = rte_cpu_to_be_16(49152 + (hash & 0x3fff));
	o->udp.dgram_len = rte_cpu_to_be_16(length + sizeof o->udp);
	o->ip.total_length = rte_cpu_to_be_16(length + sizeof o->udp + sizeof o->ip);
	o->ip.hdr_checksum = rte_cpu_to_be_16((uint16_t)~((sum >> 16) + sum));
	m->data_len = m->pkt_len = sizeof *o + length; /* link padding goes */
	return 1;
}

static uint16_t work(struct rte_mbuf **in, uint16_t n, struct rte_mbuf **out)
{
	struct key key[BURST];
	const void *key_at[BURST];
	struct rte_mbuf *m[BURST];
	int32_t position[BURST];
	uint16_t parsed = 0, ready = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (parse(in[i], &key[parsed])) {
			key_at[parsed] = &key[parsed];
			m[parsed++] = in[i];
		} else {
			rte_pktmbuf_free(in[i]);
			dropped++;
		}
	}
	if (rte_hash_lookup_bulk(table, key_at, parsed, position) != 0)
		memset(position, 0xff, sizeof position);
	for (uint16_t i = 0; i < parsed; i++) {
		uint32_t hash = key[i].client_port ^ key[i].client[15] << 6;

		if (position[i] >= 0 && encapsulate(m[i], &target[server_of[position[i]]], hash)) {
			out[ready++] = m[i];
		} else {
			rte_pktmbuf_free(m[i]);
			dropped++;
		}
	}
	return ready;
}

static void make_table(uint32_t flows)
{
	struct rte_hash_parameters p = {
		.name = "flows",
		.entries = RTE_MAX(flows, 8u),
		.key_len = sizeof(struct key),
		.hash_func = rte_hash_crc,
		.hash_func_init_val = 0x5eed,
		.socket_id = 0,
	};

	table = rte_hash_create(&p);
	if (table == NULL)
		fail("create hash table");
	server_of = malloc(flows + 1);
	if (server_of == NULL)
		fail("allocate values");
	for (uint32_t i = 0; i < flows; i++) {
		struct key k = { .client_port = traffic_port(i), .vip_port = 80, .proto = IPPROTO_TCP };
		int32_t position;

		map_ipv4(k.client, rte_cpu_to_be_32(traffic_client(i)));
		map_ipv4(k.vip, RTE_BE32(RTE_IPV4(203, 0, 113, 10)));
		position = rte_hash_add_key(table, &k);
		if (position < 0)
			fail("add flow");
		if ((uint32_t)position > flows)
			fail("position out of range");
		server_of[position] = i % SERVERS;
	}
	for (int i = 0; i < SERVERS; i++) {
		target[i].outer = (struct outer){
			.ether = { .dst_addr.addr_bytes = { 2, 0, 0, 0, 1, i }, .src_addr.addr_bytes = { 2, 0, 0, 0, 0, 3 },
				.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4) },
			.ip = { .version_ihl = RTE_IPV4_VHL_DEF, .fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG), .time_to_live = 64,
				.next_proto_id = IPPROTO_UDP, .src_addr = RTE_BE32(RTE_IPV4(10, 20, 0, 11)),
				.dst_addr = rte_cpu_to_be_32(RTE_IPV4(10, 20, 0, 101 + i)) },
			.udp = { .dst_port = RTE_BE16(DATA_PORT) },
		};
		target[i].sum = rte_be_to_cpu_16((uint16_t)~rte_ipv4_cksum(&target[i].outer.ip));
	}
}

static void make_port(uint16_t port, struct rte_mempool *pool)
{
	struct rte_eth_conf conf = { 0 };

	if (rte_eth_dev_configure(port, 1, 1, &conf) < 0 || rte_eth_rx_queue_setup(port, 0, 512, 0, NULL, pool) < 0 ||
	    rte_eth_tx_queue_setup(port, 0, 512, 0, NULL) < 0 || rte_eth_dev_start(port) < 0)
		fail("start port");
}

static double round_of(uint32_t flows, uint64_t packets)
{
	struct timespec begin, end;
	struct rte_mbuf *in[BURST], *out[BURST];

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	for (uint64_t done = 0; done < packets;) {
		uint16_t n = rte_eth_rx_burst(NORTH, 0, in, BURST);
		uint16_t ready = n, sent;
		struct rte_mbuf **send = in;

		if (flows > 0) {
			ready = work(in, n, out);
			send = out;
		}
		sent = rte_eth_tx_burst(SOUTH, 0, send, ready);
		if (sent < ready)
			rte_pktmbuf_free_bulk(send + sent, ready - sent);
		done += n;
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) / (double)packets;
}

int main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);
	struct rte_mempool *pool;
	struct traffic *traffic;
	uint64_t packets;
	uint32_t flows;
	char line[16];

	if (used < 0)
		fail("start EAL");
	if (argc - used != 3 || rte_eth_dev_count_avail() != 2) {
		fprintf(stderr, "usage: rtehash --vdev=net_null0 --vdev=net_null1 ... -- FLOWS PACKETS\n");
		return 2;
	}
	flows = (uint32_t)strtoul(argv[used + 1], NULL, 10);
	packets = strtoull(argv[used + 2], NULL, 10);
	pool = rte_pktmbuf_pool_create("frames", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	if (pool == NULL)
		fail("create mempool");
	make_port(NORTH, pool);
	make_port(SOUTH, pool);
	traffic = traffic_ingress(RTE_MAX(flows, 1u));
	if (traffic == NULL || rte_eth_add_rx_callback(NORTH, 0, traffic_fill, traffic) == NULL)
		fail("make traffic");
	if (flows > 0)
		make_table(flows);
	round_of(flows, RTE_MAX(2 * (uint64_t)flows, 1000000u)); /* warm up */
	printf("{\"ready\": true}\n");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin) != NULL) {
		printf("{\"flows\": %" PRIu32 ", \"ns_per_packet\": %.2f, \"dropped\": %" PRIu64 "}\n",
			flows, round_of(flows, packets), dropped);
		fflush(stdout);
	}
	rte_eal_cleanup();
	return dropped != 0;
}
