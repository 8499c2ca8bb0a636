/*
 * The record of upgrades as the boot loader reads it: 512 bytes that
 * firmware/trial (Go) writes, in two copies outside of the slots. Nothing here
 * depends on UEFI, so that a test can run it on the building machine.
 */
#ifndef RECORD_H
#define RECORD_H

#include <stdint.h>

#define RECORD_SIZE 512

/* Where the copies are, in bytes from the begin of the partition weir-boot: in
 * reserved sectors of its FAT, far enough from each other that no disk keeps
 * them in one of its own sectors. */
#define RECORD_AT_0 8192
#define RECORD_AT_1 16384

/* States of record.state; see firmware/trial/record.go. */
#define STATE_TRIED 3

/* States of a slot. */
#define SLOT_WRITING 1

#define VERSION_LENGTH 31

struct slot_record {
	uint8_t status;
	char version[VERSION_LENGTH + 1]; /* ends with a zero */
};

struct record {
	uint8_t state;
	char committed;    /* 'a', 'b' or 0 */
	char trial;        /* 'a', 'b' or 0 */
	uint16_t watchdog; /* seconds for a trial; 0: none asked for */
	uint64_t sequence;
	uint64_t nonce; /* names this one trial */
	struct slot_record slots[2];
};

/* record_parse is 1 if the bytes are a whole record. */
int record_parse(const uint8_t *bytes, struct record *r);

/* record_newest takes the valid copy with the highest sequence: 0 if there is none. */
int record_newest(const uint8_t *one, const uint8_t *two, struct record *r);

/* record_order is which slots to start, the best first; r may be NULL. It gives
 * their number. */
int record_order(const struct record *r, char order[2]);

enum trial_answer { TRIAL_MAY, TRIAL_NO_RECORD, TRIAL_NOT_ASKED, TRIAL_HAD };

/* record_trial says whether a slot may be tried. started is the trial that the
 * loader has started last: a firmware that does not forget BootNext must not
 * start the same one for ever. r may be NULL. */
enum trial_answer record_trial(const struct record *r, char slot, uint64_t started);

#endif
