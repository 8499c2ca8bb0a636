/* What eBPF and agent share. Layouts are mirrored in Go and compared by a test. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define inline_fn static __always_inline

enum { false, true };
typedef _Bool bool;

/* A flow (S-2), the wire form of flow.Key: IPv4 addresses mapped, ports big-endian. */
struct weir_key {
	__u8 client[16];
	__u8 vip[16];
	__be16 client_port;
	__be16 vip_port;
	__u8 proto;
	__u8 zero[3];
};

enum weir_state { WEIR_PENDING = 1, WEIR_ESTABLISHED = 2 };

enum weir_flag {
	WEIR_CLIENT_FIN = 1 << 0,
	WEIR_SERVER_FIN = 1 << 1,
	WEIR_RESET = 1 << 2,
	WEIR_SPOKEN = 1 << 3, /* the kernel's connection exists: it sent more than its SYN/ACK */
	WEIR_HEARD = 1 << 4,  /* packets of the client came through a mapping */
};

#define WEIR_OPT_TIMESTAMPS 2

/* State of a flow: agent.Flow, which explains the fields. */
struct weir_flow {
	__u64 last_seen;
	__u32 client_isn;
	__u32 server_isn;
	__u32 seq_delta;
	__u32 ts_delta;
	__u32 kernel_tsval;
	__u32 client_tsval;
	__be32 egress;
	__u16 slot;
	__u16 source_port;
	__u16 primary;
	__u16 secondary;
	__u16 ingress;
	__u16 window;
	__s8 window_shift;
	__u8 offer;
	__u8 options;
	__u8 zero;
	__u32 state; /* changes from pending to established by compare-and-swap only */
	__u32 flags; /* set by atomic or */
	__u32 zero2;
};

/* An LB node, by its address. */
struct weir_node {
	__u16 number;
	__u8 egress; /* healthy, and may carry our replies */
	__u8 zero;
};

/* A public address, protocol and port (big-endian). */
struct weir_endpoint {
	__u8 vip[16];
	__be16 port;
	__u8 proto;
	__u8 zero;
};

/* A packet of a flow that is not here (S-20). */
struct weir_stray {
	struct weir_key key;
	__be32 from;
	__u32 seq;
	__u32 ack;
	__u8 flags;
	__u8 zero[3];
};

/* Counters, per CPU; the Go side names them. */
enum weir_counter {
	WEIR_IN_PACKETS,
	WEIR_IN_BYTES,
	WEIR_OUT_PACKETS,
	WEIR_OUT_BYTES,
	WEIR_IN_ICMP,
	WEIR_OUT_ICMP,
	WEIR_TO_AGENT,	     /* from public addresses, to weir1 */
	WEIR_DROP_STRANGER,  /* tunnel packet of an unknown sender */
	WEIR_DROP_MALFORMED, /* lengths, versions or headers that contradict each other */
	WEIR_DROP_CHECKSUM,  /* outer UDP checksum present: LB nodes send none */
	WEIR_DROP_FRAGMENT,
	WEIR_DROP_PROTOCOL, /* neither TCP nor an ICMP error */
	WEIR_DROP_ENDPOINT, /* not a public endpoint of this server */
	WEIR_DROP_NOT_HERE, /* flow of another server, or of none */
	WEIR_DROP_SYN,	    /* SYNs come as offers */
	WEIR_DROP_PENDING,  /* does not fit the handshake under way */
	WEIR_DROP_ICMP,	    /* not an error, or about no flow of ours */
	WEIR_DROP_PLAIN,    /* to a public address, outside a tunnel */
	WEIR_DROP_ARP,	    /* question for a public address */
	WEIR_DROP_NO_EGRESS,
	WEIR_DROP_ROOM, /* the kernel refused to change the packet */
	WEIR_DROP_HANDSHAKE, /* last ACK of a handshake that a client's packet has completed */
	WEIR_STRAYS_LIMITED, /* not reported to the agent */
	WEIR_COUNTERS,
};
