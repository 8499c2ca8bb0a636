/* What the parts of the loader know of each other. */
#ifndef LOADER_H
#define LOADER_H

#include <efi.h>
#include <efilib.h>

#include "record.h"

/* disk.c: the slots of the disk that this loader was started from. */
int disk_read_record(EFI_HANDLE boot, struct record *r); /* 0: there is none */
EFI_STATUS disk_load(EFI_HANDLE self, EFI_HANDLE boot, char slot, EFI_HANDLE *loaded);

/* watchdog.c: timers of the machine's that reset it. arm gives the name of the
 * one that runs from now on, or NULL. */
const CHAR16 *watchdog_arm(UINTN seconds);
void watchdog_disarm(void);

/* i6300esb.c, tco.c: two of them. */
int i6300esb_arm(UINTN seconds);
void i6300esb_disarm(void);
int tco_arm(UINTN seconds);
void tco_disarm(void);

/* pci.c: the first function that fits. A device or class of -1 fits all. */
EFI_PCI_IO *pci_find(int vendor, int device, int class);
UINT32 pci_config(EFI_PCI_IO *pci, UINT32 reg, int bytes);
void pci_set_config(EFI_PCI_IO *pci, UINT32 reg, int bytes, UINT32 value);

/* variables.c: what the loader remembers, and what it tells the system. */
UINT64 variables_started(void);
EFI_STATUS variables_set_started(UINT64 nonce);
struct told {
	const char *how;        /* "chosen", "trial", "fallback" */
	char slot;              /* that is started */
	UINT64 nonce;           /* of a trial */
	const CHAR16 *watchdog; /* that runs, or NULL */
	UINTN seconds;          /* of it */
	char failed;            /* slot that could not be started before, or 0 */
	UINTN error;            /* with this status, without its highest bit */
	enum trial_answer refused;
};
void variables_tell(const struct told *t);

#endif
