/* The LB module's data path: four tc programs and their maps.
 *
 *   fabric ─▶ weir_ingress ─▶ weir0 ─▶ kernel ─▶ weir0 ─▶ weir_egress ─▶ fabric
 *                                                              │ handshakes
 *                     agent ─▶ weir_inject ─▶ weir1 ═ weir0    ▼
 *                                                            weir1 ─▶ agent
 */
#include "egress.h"
#include "inject.h"

char LICENSE[] SEC("license") = "GPL";

/* Ingress of the fabric interface. */
SEC("tc")
int weir_ingress(struct __sk_buff *skb)
{
	if (skb->vlan_present)
		return PASS;
	switch (skb->protocol) {
	case bpf_htons(TYPE_IPV4):
		return ingress_ipv4(skb);
	case bpf_htons(TYPE_IPV6):
		return ingress_ipv6(skb);
	case bpf_htons(TYPE_ARP):
		return ingress_arp(skb);
	}
	return PASS;
}

/* Egress of weir0. */
SEC("tc")
int weir_egress(struct __sk_buff *skb)
{
	return egress(skb);
}

/* Egress of weir1. */
SEC("tc")
int weir_inject(struct __sk_buff *skb)
{
	return inject(skb);
}

/* Ingress of weir1: encapsulated IPv6, which by coming in anew has become an
 * IPv4 packet to the kernel. */
SEC("tc")
int weir_bounce(struct __sk_buff *skb)
{
	struct ipv4 ip;

	if (!bounce_ipv6 || skb->protocol != bpf_htons(TYPE_IPV4) || bpf_skb_load_bytes(skb, ETH_LEN, &ip, sizeof(ip)) ||
	    ip.src != server_address || ip.proto != PROTO_UDP)
		return PASS;
	return bpf_redirect_neigh(fabric_ifindex, NULL, 0, 0);
}
