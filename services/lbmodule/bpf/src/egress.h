/* From the server's kernel: what leaves the module's own interface. */
#pragma once

#include "ingress.h"

/* To weir1, where the agent listens and nobody else. */
inline_fn int to_agent(void)
{
	count(WEIR_TO_AGENT);
	return PASS;
}

inline_fn int send(struct __sk_buff *skb, struct weir_flow *f, const struct inner *in)
{
	__be32 to = egress_of(f);
	if (!to)
		return drop(WEIR_DROP_NO_EGRESS);
	int verdict = encapsulate(skb, f, to, in);
	return verdict < 0 ? drop(WEIR_DROP_ROOM) : verdict;
}

inline_fn int egress_tcp(struct __sk_buff *skb, struct inner *in)
{
	struct tcp t;
	struct edit e;
	/* A super-packet may be longer than IP can say; only its head is read. */
	in->end = skb->len;
	__u32 bad = read_tcp(skb, in, FROM_SERVER, &t);
	if (bad)
		return drop(bad);
	struct weir_flow *f = bpf_map_lookup_elem(&weir_flows, &in->key);
	/* Repeated SYN/ACKs are the agent's to answer (S-27); before the commit
	 * nothing reaches a client (S-18). */
	if (!f || f->state != WEIR_ESTABLISHED || t.flags & TCP_SYN)
		return to_agent();
	seen(f, WEIR_SPOKEN | (t.flags & TCP_FIN ? WEIR_SERVER_FIN : 0) | (t.flags & TCP_RST ? WEIR_RESET : 0));
	edit_outbound(&e, f);
	if (translate(skb, in->l4, (t.offset >> 4) * 4, &e))
		return drop(WEIR_DROP_ROOM);
	count(WEIR_OUT_PACKETS);
	count_n(WEIR_OUT_BYTES, skb->len - ETH_LEN);
	return send(skb, f, in);
}

inline_fn int egress_icmp(struct __sk_buff *skb, struct inner *in)
{
	struct inner q;
	struct edit e;
	struct weir_flow *f = NULL;
	if (read_quote(skb, in, FROM_CLIENT, &q, &f) || !f || f->state != WEIR_ESTABLISHED)
		return to_agent();
	__u32 len = quoted_length(skb, &q, in->end);
	edit_quoted_inbound(&e, f);
	if (!len || translate_quote(skb, q.l4, len, in->l4 + 2, &e))
		return drop(WEIR_DROP_ICMP);
	count(WEIR_OUT_ICMP);
	return send(skb, f, in);
}

inline_fn int egress(struct __sk_buff *skb)
{
	struct inner in;

	if (skb->protocol != bpf_htons(TYPE_IPV4) && skb->protocol != bpf_htons(TYPE_IPV6))
		return to_agent();
	if (read_ip(skb, ETH_LEN, FROM_SERVER, &in))
		return to_agent();
	if (in.key.proto == PROTO_TCP)
		return egress_tcp(skb, &in);
	if (in.key.proto == (in.v6 ? PROTO_ICMPV6 : PROTO_ICMP))
		return egress_icmp(skb, &in);
	return to_agent();
}
