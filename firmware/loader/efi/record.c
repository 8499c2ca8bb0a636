#include "record.h"

static uint64_t number(const uint8_t *b, int bytes)
{
	uint64_t n = 0;
	while (bytes-- > 0)
		n = n << 8 | b[bytes];
	return n;
}

/* crc32 is that of IEEE 802.3, as everywhere in UEFI. */
static uint32_t crc32(const uint8_t *b, int length)
{
	uint32_t crc = 0xffffffff;
	for (int i = 0; i < length; i++) {
		crc ^= b[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static int is_slot(char c) { return c == 'a' || c == 'b'; }

int record_parse(const uint8_t *b, struct record *r)
{
	static const char magic[8] = "WEIRBOOT";
	for (int i = 0; i < 8; i++)
		if (b[i] != (uint8_t)magic[i])
			return 0;
	if (crc32(b, RECORD_SIZE - 4) != number(b + RECORD_SIZE - 4, 4) || b[8] != 1)
		return 0;
	r->state = b[9];
	r->committed = is_slot(b[10]) ? (char)b[10] : 0;
	r->trial = is_slot(b[11]) ? (char)b[11] : 0;
	r->watchdog = (uint16_t)number(b + 14, 2);
	r->sequence = number(b + 16, 8);
	r->nonce = number(b + 24, 8);
	for (int s = 0; s < 2; s++) {
		const uint8_t *at = b + 40 + 64 * s;
		r->slots[s].status = at[0];
		for (int i = 0; i < VERSION_LENGTH; i++) /* what a console can show */
			r->slots[s].version[i] = at[1 + i] > ' ' && at[1 + i] < 127 ? (char)at[1 + i] : 0;
		r->slots[s].version[VERSION_LENGTH] = 0;
	}
	return 1;
}

int record_newest(const uint8_t *one, const uint8_t *two, struct record *r)
{
	struct record other;
	int have = record_parse(one, r);
	if (record_parse(two, &other) && (!have || other.sequence > r->sequence)) {
		*r = other;
		have = 1;
	}
	return have;
}

int record_order(const struct record *r, char order[2])
{
	char first = r && r->committed == 'b' ? 'b' : 'a';
	char other = first == 'a' ? 'b' : 'a';
	order[0] = first;
	if (r && r->slots[other - 'a'].status == SLOT_WRITING)
		return 1;
	order[1] = other;
	return 2;
}

enum trial_answer record_trial(const struct record *r, char slot, uint64_t started)
{
	if (!r)
		return TRIAL_NO_RECORD;
	if (r->state != STATE_TRIED || r->trial != slot)
		return TRIAL_NOT_ASKED;
	return r->nonce == started ? TRIAL_HAD : TRIAL_MAY;
}
