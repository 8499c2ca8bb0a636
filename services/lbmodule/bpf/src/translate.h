/* Sequence numbers and timestamps between the trackers' and the kernel's
 * numbering (S-22), at any option offset and for every state of the checksum.
 *
 * The whole header is copied, edited and written back, and its checksum
 * corrected by the difference of the two copies. The header begins at an even
 * offset of the segment and is a multiple of four long, so the difference is
 * right wherever an option stands. With CHECKSUM_PARTIAL the field holds the
 * sum of the pseudo header only, which does not change, and the helper knows. */
#pragma once

#include "packet.h"

/* What to add to which field. */
struct edit {
	__u32 seq;
	__u32 ack;
	__u32 sack;
	__u32 tsval;
	__u32 tsecr;
	bool no_tsecr; /* TSecr becomes 0 */
	__s32 window_shift;
};

/* Outbound: the server's numbers become the trackers'. */
inline_fn void edit_outbound(struct edit *e, const struct weir_flow *f)
{
	__builtin_memset(e, 0, sizeof(*e));
	e->seq = f->seq_delta;
	e->tsval = f->ts_delta;
	e->window_shift = f->window_shift;
}

/* Inbound: the reverse, in what the client echoes. Until the kernel has spoken
 * a client can only echo the SYN/ACK's timestamp, of which the trackers may
 * have sent several; newer kernels insist on their own. It becomes 0, an echo of
 * nothing: the kernel's own handshake was with us, and must not be taken for a
 * measure of the client's round-trip time. */
inline_fn void edit_inbound(struct edit *e, const struct weir_flow *f, __u8 flags)
{
	__builtin_memset(e, 0, sizeof(*e));
	if (!(flags & TCP_ACK))
		return;
	e->ack = -f->seq_delta;
	e->sack = -f->seq_delta;
	e->tsecr = -f->ts_delta;
	if (!(f->flags & WEIR_SPOKEN))
		e->no_tsecr = true;
}

/* A header that an ICMP error quotes, is translated back. */
inline_fn void edit_quoted_inbound(struct edit *e, const struct weir_flow *f)
{
	__builtin_memset(e, 0, sizeof(*e));
	e->ack = f->seq_delta;
	e->sack = f->seq_delta;
	e->tsecr = f->ts_delta;
}

inline_fn void edit_quoted_outbound(struct edit *e, const struct weir_flow *f)
{
	__builtin_memset(e, 0, sizeof(*e));
	e->seq = -f->seq_delta;
	e->tsval = -f->ts_delta;
	e->window_shift = -f->window_shift;
}

inline_fn __u32 get32(const __u8 *p) { return (__u32)p[0] << 24 | (__u32)p[1] << 16 | (__u32)p[2] << 8 | p[3]; }

inline_fn void put32(__u8 *p, __u32 v)
{
	p[0] = v >> 24;
	p[1] = v >> 16;
	p[2] = v >> 8;
	p[3] = v;
}

inline_fn void add32(__u8 *p, __u32 d) { put32(p, get32(p) + d); }

/* The window as the promised scale expresses it. It never shrinks to zero. */
inline_fn void shift_window(__u8 *p, __s32 shift)
{
	__u32 w = (__u32)p[0] << 8 | p[1];
	if (!w || !shift)
		return;
	if (shift > 0)
		w <<= shift & 15;
	else
		w >>= -shift & 15;
	if (w > 0xffff)
		w = 0xffff;
	if (!w)
		w = 1;
	p[0] = w >> 8;
	p[1] = w;
}

#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_SACK 5
#define OPTION_TIMESTAMPS 8

/* Edits the option at pos and returns its length, or 0 to stop. */
inline_fn __u32 edit_option(struct weir_scratch *s, __u32 pos, __u32 len, const struct edit *e)
{
	__u8 *p = s->now + (pos & 63);

	if (p[0] == OPTION_NOP)
		return 1;
	if (p[0] == OPTION_END || pos + 2 > len)
		return 0;
	__u32 size = p[1];
	if (size < 2 || pos + size > len)
		return 0;
	if (p[0] == OPTION_TIMESTAMPS && size == 10) {
		add32(p + 2, e->tsval);
		if (e->no_tsecr)
			put32(p + 6, 0);
		else
			add32(p + 6, e->tsecr);
	}
	if (p[0] == OPTION_SACK && e->sack) {
#pragma unroll
		for (int i = 0; i < 8; i++)
			if (2 + (i + 1) * 4 <= size)
				add32(p + 2 + i * 4, e->sack);
	}
	return size;
}

/* Edits the first len bytes of a TCP header, a multiple of 4 from 8 to 60, in
 * the scratch; the rest of it lies beyond the end of a quote. */
inline_fn void edit_header(struct weir_scratch *s, __u32 len, const struct edit *e)
{
	volatile __u32 *pos = &s->pos;

	add32(s->now + 4, e->seq);
	if (len >= 12)
		add32(s->now + 8, e->ack);
	if (len >= 16)
		shift_window(s->now + 14, e->window_shift);
	*pos = 20;
	for (int i = 0; i < 40; i++) {
		__u32 at = *pos;
		if (at >= len || at > 59)
			break;
		__u32 n = edit_option(s, at, len, e);
		if (!n)
			break;
		*pos = at + n;
	}
}

/* Keeps the compiler from joining two comparisons of a number into one of
 * another, from which older verifiers learn nothing. */
#define keep(n) asm volatile("" : "+r"(n))

/* Loads and edits; returns the scratch, or NULL. */
inline_fn struct weir_scratch *edited(struct __sk_buff *skb, __u32 at, __u32 len, const struct edit *e)
{
	__u32 zero = 0;
	__u64 n = len;
	struct weir_scratch *s = bpf_map_lookup_elem(&weir_scratch, &zero);

	if (!s)
		return NULL;
	keep(n);
	if (n < 8)
		return NULL;
	keep(n);
	if (n > 60 || bpf_skb_load_bytes(skb, at, s->now, n))
		return NULL;
	__builtin_memcpy(s->old, s->now, 60);
	edit_header(s, len, e);
	return s;
}

inline_fn __s64 difference(struct weir_scratch *s)
{
	return bpf_csum_diff((__be32 *)s->old, 60, (__be32 *)s->now, 60, 0);
}

/* Writes the edited bytes back, 8 to 60. */
inline_fn int store(struct __sk_buff *skb, __u32 at, struct weir_scratch *s, __u32 len)
{
	__u64 n = len;

	keep(n);
	if (n < 8)
		return -1;
	keep(n);
	if (n > 60)
		return -1;
	return bpf_skb_store_bytes(skb, at, s->now, n, 0);
}

/* Edits the TCP header, len bytes at an offset, of a packet. */
static __noinline int translate(struct __sk_buff *skb, __u32 at, __u32 len, const struct edit *e)
{
	if (!e)
		return -1;
	struct weir_scratch *s = edited(skb, at, len, e);
	if (!s)
		return -1;
	if (store(skb, at, s, len))
		return -1;
	return bpf_l4_csum_replace(skb, at + 16, 0, difference(s), 0);
}
