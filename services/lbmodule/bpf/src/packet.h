/* Headers, and reading them. Offsets are from the Ethernet header. */
#pragma once

#include "maps.h"

#define ETH_LEN 14
#define OUTER_LEN 28 /* IPv4 and UDP */
#define PORT_DATA 6080

#define TYPE_IPV4 0x0800
#define TYPE_ARP 0x0806
#define TYPE_IPV6 0x86dd

#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_ICMPV6 58

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define FRAGMENT 0x3fff /* more fragments, or an offset */

struct ethernet {
	__u8 dst[6];
	__u8 src[6];
	__be16 type;
} __attribute__((packed));

struct ipv4 {
	__u8 version_ihl;
	__u8 tos;
	__be16 length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 proto;
	__u16 check;
	__be32 src;
	__be32 dst;
};

struct ipv6 {
	__be32 version_class_label;
	__be16 length;
	__u8 next;
	__u8 hops;
	__u8 src[16];
	__u8 dst[16];
};

struct udp {
	__be16 src;
	__be16 dst;
	__be16 length;
	__u16 check;
};

struct tcp {
	__be16 src;
	__be16 dst;
	__be32 seq;
	__be32 ack;
	__u8 offset; /* in words, upper four bits */
	__u8 flags;
	__be16 window;
	__u16 check;
	__be16 urgent;
};

struct icmp {
	__u8 type;
	__u8 code;
	__u16 check;
	__be32 rest;
};

/* What was read of an IP packet. */
struct inner {
	struct weir_key key; /* ports are zero until read_ports */
	__u32 l4;
	__u32 end; /* after the last byte that IP counts */
	__u8 tos;
	bool v6;
};

enum direction { FROM_CLIENT, FROM_SERVER };

inline_fn void map_ipv4(__u8 *to, __be32 a)
{
	__u32 *w = (__u32 *)to;
	w[0] = 0;
	w[1] = 0;
	w[2] = bpf_htonl(0xffff);
	w[3] = a;
}

inline_fn void copy16(__u8 *to, const __u8 *from)
{
	const __u32 *f = (const __u32 *)from;
	__u32 *t = (__u32 *)to;
	t[0] = f[0];
	t[1] = f[1];
	t[2] = f[2];
	t[3] = f[3];
}

/* Reads the IP header at an offset. Returns 0, or the counter of the reason to
 * drop it. */
inline_fn __u32 read_ip(struct __sk_buff *skb, __u32 at, enum direction d, struct inner *in)
{
	union {
		struct ipv4 v4;
		struct ipv6 v6;
	} ip;

	__builtin_memset(in, 0, sizeof(*in));
	if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip.v4)))
		return WEIR_DROP_MALFORMED;
	__u8 version = ip.v4.version_ihl >> 4;
	if (version == 4) {
		__u32 head = (ip.v4.version_ihl & 15) * 4, total = bpf_ntohs(ip.v4.length);
		if (head < 20 || total < head)
			return WEIR_DROP_MALFORMED;
		if (ip.v4.fragment & bpf_htons(FRAGMENT))
			return WEIR_DROP_FRAGMENT;
		map_ipv4(d == FROM_CLIENT ? in->key.client : in->key.vip, ip.v4.src);
		map_ipv4(d == FROM_CLIENT ? in->key.vip : in->key.client, ip.v4.dst);
		in->key.proto = ip.v4.proto;
		in->tos = ip.v4.tos;
		in->l4 = at + head;
		in->end = at + total;
		return 0;
	}
	if (version != 6 || bpf_skb_load_bytes(skb, at, &ip, sizeof(ip.v6)))
		return WEIR_DROP_MALFORMED;
	copy16(d == FROM_CLIENT ? in->key.client : in->key.vip, ip.v6.src);
	copy16(d == FROM_CLIENT ? in->key.vip : in->key.client, ip.v6.dst);
	in->key.proto = ip.v6.next;
	in->tos = bpf_ntohl(ip.v6.version_class_label) >> 20;
	in->v6 = true;
	in->l4 = at + sizeof(ip.v6);
	in->end = in->l4 + bpf_ntohs(ip.v6.length);
	return 0;
}

/* Reads the TCP header and completes the key. Returns 0 or the counter. */
inline_fn __u32 read_tcp(struct __sk_buff *skb, struct inner *in, enum direction d, struct tcp *t)
{
	if (bpf_skb_load_bytes(skb, in->l4, t, sizeof(*t)))
		return WEIR_DROP_MALFORMED;
	__u32 head = (t->offset >> 4) * 4;
	if (head < sizeof(*t) || in->l4 + head > in->end)
		return WEIR_DROP_MALFORMED;
	in->key.client_port = d == FROM_CLIENT ? t->src : t->dst;
	in->key.vip_port = d == FROM_CLIENT ? t->dst : t->src;
	return 0;
}
