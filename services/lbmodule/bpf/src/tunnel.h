/* GUE variant 1: the IP packet directly in UDP over IPv4 (S-3). */
#pragma once

#include "packet.h"

/* Removes the outer headers and hands the packet to the kernel as if it had
 * come in on the module's own interface. */
inline_fn int deliver(struct __sk_buff *skb, bool v6)
{
	struct ethernet eth;

	if (bpf_skb_adjust_room(skb, -OUTER_LEN, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return -1;
	for (int i = 0; i < 6; i++) {
		eth.dst[i] = own_mac[i];
		eth.src[i] = own_mac[i];
	}
	eth.type = v6 ? bpf_htons(TYPE_IPV6) : bpf_htons(TYPE_IPV4);
	if (bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), 0))
		return -1;
	return bpf_redirect(own_ifindex, BPF_F_INGRESS);
}

/* The address of a flow's egress node: its own while that is healthy (S-23),
 * else that of its slot (S-75); 0: none. */
inline_fn __be32 egress_of(const struct weir_flow *f)
{
	__be32 a = f->egress;
	struct weir_node *n = bpf_map_lookup_elem(&weir_nodes, &a);
	if (n && n->egress)
		return a;
	__u32 slot = f->slot % WEIR_SLOTS;
	__be32 *s = bpf_map_lookup_elem(&weir_slots, &slot);
	return s ? *s : 0;
}

inline_fn __u16 fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Puts the outer headers around a packet. The kernel learns that it is a
 * tunnel, so it cuts and checksums segments of a super-packet inside it; their
 * size fits, because the module's interface has a smaller MTU. */
inline_fn int encapsulate(struct __sk_buff *skb, const struct weir_flow *f, __be32 to, const struct inner *in)
{
	struct {
		struct ipv4 ip;
		struct udp udp;
	} outer = {};
	__u32 total = skb->len - ETH_LEN + OUTER_LEN;

	if (total > 0xffff) /* a super-packet; its segments get their own lengths */
		total = 0xffff;
	if (bpf_skb_adjust_room(skb, OUTER_LEN, BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP))
		return -1;
	outer.ip.version_ihl = 0x45;
	outer.ip.tos = in->tos & 0xfc; /* DSCP; no ECN in the tunnel, the connection declined it */
	outer.ip.length = bpf_htons(total);
	outer.ip.fragment = bpf_htons(0x4000);
	outer.ip.ttl = 64;
	outer.ip.proto = PROTO_UDP;
	outer.ip.src = server_address;
	outer.ip.dst = to;
	outer.ip.check = fold(bpf_csum_diff(NULL, 0, (__be32 *)&outer.ip, sizeof(outer.ip), 0));
	outer.udp.src = bpf_htons(f->source_port);
	outer.udp.dst = bpf_htons(PORT_DATA);
	outer.udp.length = bpf_htons(total - sizeof(outer.ip));
	if (bpf_skb_store_bytes(skb, ETH_LEN, &outer, sizeof(outer), 0))
		return -1;
	if (!in->v6)
		return bpf_redirect_neigh(fabric_ifindex, NULL, 0, 0);
	__be16 type = bpf_htons(TYPE_IPV4);
	if (bpf_skb_store_bytes(skb, 12, &type, sizeof(type), 0))
		return -1;
	if (bounce_ipv6)
		return bpf_redirect(peer_ifindex, BPF_F_INGRESS);
	return bpf_redirect_neigh(fabric_ifindex, NULL, 0, 0);
}
