/* Maps, all pinned by name so that they outlive the agent (S-26), and settings. */
#pragma once

#include "types.h"

#define WEIR_SLOTS 4096

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536); /* set when loading */
	__type(key, struct weir_key);
	__type(value, struct weir_flow);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __be32);
	__type(value, struct weir_node);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_nodes SEC(".maps");

/* Addresses of egress nodes for flows whose own is gone (S-75); 0: none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_SLOTS);
	__type(key, __u32);
	__type(value, __be32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct weir_endpoint);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_endpoints SEC(".maps");

/* Public addresses, in IPv6 form. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(key_size, 16);
	__uint(value_size, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_COUNTERS);
	__type(key, enum weir_counter);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_strays SEC(".maps");

/* How many strays this CPU reported in the present slice of time. */
struct weir_rate {
	__u64 slice;
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_rate);
} weir_rates SEC(".maps");

/* One TCP header being edited. len and pos are here and not in registers so
 * that the verifier forgets what it knows of them between two options. */
struct weir_scratch {
	__u8 now[128]; /* the header, at most 60 bytes; the rest is room for masked offsets */
	__u8 old[64];
	__u32 pos;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_scratch);
} weir_scratch SEC(".maps");

/* Simulated time in ns, used instead of the clock when virtual_clock is set. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} weir_clock SEC(".maps");

/* Settings, fixed when loading. */
const volatile __be32 server_address;
const volatile __u32 fabric_ifindex;
const volatile __u32 own_ifindex;  /* weir0, whose addresses are the public ones */
const volatile __u32 peer_ifindex; /* weir1, where the agent listens */
const volatile __u8 own_mac[6];
const volatile bool bounce_ipv6;  /* this kernel cannot send IPv6 in IPv4 directly */
const volatile bool virtual_clock;
const volatile __u32 strays_per_slice; /* and CPU; 0: no bound */

inline_fn void count_n(__u32 which, __u64 n)
{
	__u64 *c = bpf_map_lookup_elem(&weir_counters, &which);
	if (c)
		*c += n;
}

inline_fn void count(__u32 which) { count_n(which, 1); }

/* Monotonic time in ns, as coarse as the kernel's tick. */
inline_fn __u64 now_ns(void)
{
	if (virtual_clock) {
		__u32 zero = 0;
		__u64 *t = bpf_map_lookup_elem(&weir_clock, &zero);
		return t ? *t : 0;
	}
	return bpf_ktime_get_coarse_ns();
}
