/* Tells what efi/record.c makes of two copies of a record on standard input. */
#include <stdio.h>
#include <stdlib.h>

#include "record.h"

int main(int argc, char **argv)
{
	static const char *const answers[] = {"may", "no record", "not asked", "had"};
	uint8_t copies[2][RECORD_SIZE];
	struct record r = {0};
	char order[2];
	if (argc != 3 || fread(copies, RECORD_SIZE, 2, stdin) != 2)
		return 2;
	struct record *found = record_newest(copies[0], copies[1], &r) ? &r : NULL;
	int n = record_order(found, order);
	printf("%d\n%s\n%d\n%.*s\n%s\n", found != NULL, r.slots[1].version, r.watchdog, n, order,
	       answers[record_trial(found, argv[1][0], strtoull(argv[2], NULL, 10))]);
	return 0;
}
