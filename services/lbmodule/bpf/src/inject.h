/* From the agent: packets in the client's name, on their way into the kernel. */
#pragma once

#include "ingress.h"

#define INJECT_HANDSHAKE 1 /* last byte of the source MAC */

/* The last ACK of a handshake passes only if no client's packet has taken its
 * place; exactly one of them makes the flow established. */
inline_fn int inject(struct __sk_buff *skb)
{
	struct ethernet eth;
	struct inner in;
	struct tcp t;

	if (bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)) || eth.src[5] != INJECT_HANDSHAKE)
		return PASS;
	if (read_ip(skb, ETH_LEN, FROM_CLIENT, &in) || in.key.proto != PROTO_TCP || read_tcp(skb, &in, FROM_CLIENT, &t))
		return drop(WEIR_DROP_MALFORMED);
	struct weir_flow *f = bpf_map_lookup_elem(&weir_flows, &in.key);
	if (!f || __sync_val_compare_and_swap(&f->state, WEIR_PENDING, WEIR_ESTABLISHED) != WEIR_PENDING)
		return drop(WEIR_DROP_HANDSHAKE);
	return PASS;
}
