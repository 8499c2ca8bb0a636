/* ICMP errors that quote a packet of a flow, both ways (S-22). */
#pragma once

#include "translate.h"

/* Whether a type is an error, which quotes what caused it (RFC 792, RFC 4443). */
inline_fn bool icmp_error(const struct inner *in, __u8 type)
{
	if (in->v6)
		return type >= 1 && type <= 4;
	return type == 3 || type == 11 || type == 12;
}

/* Finds the flow that an ICMP error is about. The quoted packet went the other
 * way: quoted is its direction, q describes it. Returns 0 or the counter. */
inline_fn __u32 read_quote(struct __sk_buff *skb, const struct inner *in, enum direction quoted, struct inner *q,
			   struct weir_flow **flow)
{
	struct icmp icmp;
	__be16 ports[2];

	if (bpf_skb_load_bytes(skb, in->l4, &icmp, sizeof(icmp)))
		return WEIR_DROP_MALFORMED;
	if (!icmp_error(in, icmp.type))
		return WEIR_DROP_ICMP;
	if (read_ip(skb, in->l4 + sizeof(icmp), quoted, q))
		return WEIR_DROP_ICMP;
	if (q->v6 != in->v6 || q->key.proto != PROTO_TCP || bpf_skb_load_bytes(skb, q->l4, ports, sizeof(ports)))
		return WEIR_DROP_ICMP;
	q->key.client_port = ports[quoted == FROM_CLIENT ? 0 : 1];
	q->key.vip_port = ports[quoted == FROM_CLIENT ? 1 : 0];
	*flow = bpf_map_lookup_elem(&weir_flows, &q->key);
	return *flow ? 0 : WEIR_DROP_ICMP;
}

/* How much of the quoted TCP header is there, in whole words; 0: too little. */
inline_fn __u32 quoted_length(struct __sk_buff *skb, const struct inner *q, __u32 end)
{
	__u8 offset;
	__u32 there = end > q->l4 ? (end - q->l4) & ~3u : 0;
	__u32 head = 20;

	if (there >= 16 && !bpf_skb_load_bytes(skb, q->l4 + 12, &offset, 1) && (offset >> 4) * 4 > 20)
		head = (offset >> 4) * 4;
	if (there > head)
		there = head;
	return there < 8 ? 0 : there;
}

/* Edits the quoted header: its own checksum, if quoted, as well as that of the
 * ICMP message at check. */
static __noinline int translate_quote(struct __sk_buff *skb, __u32 at, __u32 len, __u32 check, const struct edit *e)
{
	if (!e)
		return -1;
	struct weir_scratch *s = edited(skb, at, len, e);
	if (!s)
		return -1;
	if (len >= 20) {
		__u16 *sum = (__u16 *)(s->now + 16);
		__u64 d = (__u32)difference(s);
		d += (__u16)~*sum;
		d = (d & 0xffff) + (d >> 16);
		d = (d & 0xffff) + (d >> 16);
		d = (d & 0xffff) + (d >> 16);
		*sum = ~d;
	}
	if (store(skb, at, s, len))
		return -1;
	return bpf_l4_csum_replace(skb, check, 0, difference(s), 0);
}
