/* The watchdog of Intel's I/O hubs from ICH6 to the 9 series (TCO; data sheet of
 * ICH9, 316972, chapter 13.9): behind the LPC bridge, in its ACPI ports. It
 * counts down twice, then resets. Later hubs hide it elsewhere; there, the bits
 * that are looked at below are clear. */
#include "loader.h"

#define PMBASE 0x40 /* bit 0: set; 7-15: ports of ACPI */
#define RCBA 0xf0   /* bit 0: set if mapped; 14-31: address of the root complex */
#define GCS 0x3410  /* in the root complex; bit 5: no reset */
#define NO_REBOOT 0x20

#define TCO 0x60 /* from PMBASE */
#define RELOAD 0x00
#define STATUS1 0x04 /* bit 3: counted down once; written to clear */
#define STATUS2 0x06 /* bit 1: twice */
#define CONTROL1 0x08 /* bit 11: halted; 12: locked */
#define HALTED 0x0800
#define INITIAL 0x12 /* 10 bits, of 0.6 s */
#define LONGEST 1200 /* seconds, of 10 bits twice */

static UINT16 base;

static void out(UINT16 port, UINT16 value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"((UINT16)(base + port))); }

static UINT16 in(UINT16 port)
{
	UINT16 value;
	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"((UINT16)(base + port)));
	return value;
}

int tco_arm(UINTN seconds)
{
	EFI_PCI_IO *lpc = pci_find(0x8086, -1, 0x0601);
	if (!lpc)
		return 0;
	UINT32 ports = pci_config(lpc, PMBASE, 4), root = pci_config(lpc, RCBA, 4);
	if (!(ports & 1) || !(ports & 0xff80) || !(root & 1) || !(root & 0xffffc000))
		return 0;
	volatile UINT32 *gcs = (volatile UINT32 *)(UINTN)((root & 0xffffc000) + GCS);
	*gcs &= ~NO_REBOOT;
	if (*gcs & NO_REBOOT) /* a jumper of the board forbids it */
		return 0;
	base = (UINT16)((ports & 0xff80) + TCO);
	if (seconds > LONGEST)
		seconds = LONGEST;
	out(CONTROL1, in(CONTROL1) | HALTED);
	out(STATUS1, 0x08);
	out(STATUS2, 0x02);
	UINT16 ticks = (UINT16)(seconds * 5 / 6); /* of 0.6 s, half the time */
	out(INITIAL, (UINT16)((in(INITIAL) & ~0x3ff) | (ticks < 4 ? 4 : ticks)));
	out(RELOAD, 1);
	out(CONTROL1, (UINT16)(in(CONTROL1) & ~HALTED));
	return (in(CONTROL1) & HALTED) == 0;
}

void tco_disarm(void) { out(CONTROL1, in(CONTROL1) | HALTED); }
