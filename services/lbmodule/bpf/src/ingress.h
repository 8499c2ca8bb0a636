/* From the fabric: tunnel packets to the kernel, and guards for public addresses. */
#pragma once

#include "icmp.h"
#include "tunnel.h"

#define PASS -1 /* TCX_NEXT, TC_ACT_UNSPEC: whoever else looks at this interface */
#define DROP 2	/* TC_ACT_SHOT */

inline_fn int drop(__u32 why)
{
	count(why);
	return DROP;
}

inline_fn bool is_vip(const __u8 *address) { return bpf_map_lookup_elem(&weir_vips, address) != NULL; }

inline_fn void seen(struct weir_flow *f, __u32 flags)
{
	__u64 now = now_ns();
	if (f->last_seen != now)
		f->last_seen = now;
	if (flags & ~f->flags)
		__sync_fetch_and_or(&f->flags, flags);
}

/* Tells the agent of a packet of a flow that is not here, within bounds. */
inline_fn int stray(const struct inner *in, const struct tcp *t, __be32 from)
{
	struct weir_endpoint e __attribute__((aligned(8))) = {};
	__u32 zero = 0;

	copy16(e.vip, in->key.vip);
	e.port = in->key.vip_port;
	e.proto = in->key.proto;
	if (!bpf_map_lookup_elem(&weir_endpoints, &e))
		return drop(WEIR_DROP_ENDPOINT);
	struct weir_rate *r = bpf_map_lookup_elem(&weir_rates, &zero);
	if (!r)
		return drop(WEIR_DROP_NOT_HERE);
	__u64 slice = now_ns() >> 24; /* of 16.8 ms */
	if (r->slice != slice) {
		r->slice = slice;
		r->count = 0;
	}
	struct weir_stray *s = NULL;
	if (!strays_per_slice || r->count < strays_per_slice)
		s = bpf_ringbuf_reserve(&weir_strays, sizeof(*s), 0);
	if (!s) {
		count(WEIR_STRAYS_LIMITED);
		return drop(WEIR_DROP_NOT_HERE);
	}
	r->count++;
	s->key = in->key;
	s->from = from;
	s->seq = bpf_ntohl(t->seq);
	s->ack = bpf_ntohl(t->ack);
	s->flags = t->flags;
	__builtin_memset(s->zero, 0, sizeof(s->zero));
	bpf_ringbuf_submit(s, 0);
	return drop(WEIR_DROP_NOT_HERE);
}

/* Lets a client's first packet complete the handshake; no other passes. */
inline_fn bool fits_handshake(struct weir_flow *f, const struct tcp *t)
{
	if (f->state != WEIR_PENDING || t->flags & TCP_RST)
		return true;
	if (!(t->flags & TCP_ACK) || bpf_ntohl(t->ack) != f->server_isn + 1)
		return false;
	__sync_val_compare_and_swap(&f->state, WEIR_PENDING, WEIR_ESTABLISHED);
	return true;
}

inline_fn int ingress_tcp(struct __sk_buff *skb, struct inner *in, __be32 from, const struct weir_node *node)
{
	struct tcp t;
	struct edit e;
	__u32 bad = read_tcp(skb, in, FROM_CLIENT, &t);
	if (bad)
		return drop(bad);
	struct weir_flow *f = bpf_map_lookup_elem(&weir_flows, &in->key);
	if (!f)
		return stray(in, &t, from);
	if (t.flags & TCP_SYN)
		return drop(WEIR_DROP_SYN);
	if (!fits_handshake(f, &t))
		return drop(WEIR_DROP_PENDING);
	if (f->ingress != node->number)
		f->ingress = node->number;
	seen(f, WEIR_HEARD | (t.flags & TCP_FIN ? WEIR_CLIENT_FIN : 0) | (t.flags & TCP_RST ? WEIR_RESET : 0));
	edit_inbound(&e, f, t.flags);
	if (translate(skb, in->l4, (t.offset >> 4) * 4, &e))
		return drop(WEIR_DROP_ROOM);
	count(WEIR_IN_PACKETS);
	count_n(WEIR_IN_BYTES, in->end - ETH_LEN - OUTER_LEN);
	int verdict = deliver(skb, in->v6);
	return verdict < 0 ? drop(WEIR_DROP_ROOM) : verdict;
}

inline_fn int ingress_icmp(struct __sk_buff *skb, struct inner *in)
{
	struct inner q;
	struct edit e;
	struct weir_flow *f = NULL;
	__u32 bad = read_quote(skb, in, FROM_SERVER, &q, &f);
	if (bad || !f)
		return drop(bad);
	__u32 len = quoted_length(skb, &q, in->end);
	edit_quoted_outbound(&e, f);
	if (!len || translate_quote(skb, q.l4, len, in->l4 + 2, &e))
		return drop(WEIR_DROP_ICMP);
	count(WEIR_IN_ICMP);
	int verdict = deliver(skb, in->v6);
	return verdict < 0 ? drop(WEIR_DROP_ROOM) : verdict;
}

/* A datagram to the data port of this server. */
inline_fn int ingress_tunnel(struct __sk_buff *skb, const struct ipv4 *ip, const struct udp *udp)
{
	struct inner in;
	struct weir_node *node = bpf_map_lookup_elem(&weir_nodes, &ip->src);
	if (!node)
		return drop(WEIR_DROP_STRANGER);
	if (ip->fragment & bpf_htons(FRAGMENT))
		return drop(WEIR_DROP_FRAGMENT);
	__u32 total = bpf_ntohs(ip->length);
	if (ip->version_ihl != 0x45 || total != sizeof(*ip) + bpf_ntohs(udp->length) || ETH_LEN + total > skb->len)
		return drop(WEIR_DROP_MALFORMED);
	/* Were the outer checksum there, it might be partial: the kernel would then
	 * neither let us correct the inner one, nor check it after us. */
	if (udp->check)
		return drop(WEIR_DROP_CHECKSUM);
	__u32 bad = read_ip(skb, ETH_LEN + OUTER_LEN, FROM_CLIENT, &in);
	if (bad)
		return drop(bad);
	if (in.end != ETH_LEN + total)
		return drop(WEIR_DROP_MALFORMED);
	if (in.key.proto == PROTO_TCP)
		return ingress_tcp(skb, &in, ip->src, node);
	if (in.key.proto == (in.v6 ? PROTO_ICMPV6 : PROTO_ICMP))
		return ingress_icmp(skb, &in);
	return drop(WEIR_DROP_PROTOCOL);
}

inline_fn int ingress_ipv4(struct __sk_buff *skb)
{
	struct ipv4 ip;
	struct udp udp;
	__u8 vip[16] __attribute__((aligned(8)));

	if (bpf_skb_load_bytes(skb, ETH_LEN, &ip, sizeof(ip)))
		return PASS;
	if (ip.dst == server_address && ip.proto == PROTO_UDP && !(ip.fragment & bpf_htons(0x1fff)) &&
	    !bpf_skb_load_bytes(skb, ETH_LEN + (ip.version_ihl & 15) * 4, &udp, sizeof(udp)) &&
	    udp.dst == bpf_htons(PORT_DATA))
		return ingress_tunnel(skb, &ip, &udp);
	map_ipv4(vip, ip.dst);
	return is_vip(vip) ? drop(WEIR_DROP_PLAIN) : PASS;
}

inline_fn int ingress_ipv6(struct __sk_buff *skb)
{
	__u8 dst[16] __attribute__((aligned(8)));

	if (bpf_skb_load_bytes(skb, ETH_LEN + 24, dst, sizeof(dst)))
		return PASS;
	return is_vip(dst) ? drop(WEIR_DROP_PLAIN) : PASS;
}

/* Linux answers ARP for the addresses of all interfaces on each of them; the
 * public addresses belong to the routers' tables, not to this network (S-26). */
inline_fn int ingress_arp(struct __sk_buff *skb)
{
	__be32 target;
	__u8 vip[16] __attribute__((aligned(8)));

	if (bpf_skb_load_bytes(skb, ETH_LEN + 24, &target, sizeof(target)))
		return PASS;
	map_ipv4(vip, target);
	return is_vip(vip) ? drop(WEIR_DROP_ARP) : PASS;
}
