/* The watchdog of Intel's 6300ESB I/O hub (data sheet 300641, chapter 16), which
 * QEMU has as a device of its own. It counts down twice, then resets. */
#include "loader.h"

#define CONFIG 0x60 /* bit 5: no reset; bit 2: count at 1 MHz instead of 1 kHz; 0-1: 3 is no interrupt */
#define LOCK 0x68   /* bit 1: running */
#define RUNNING 0x02

#define TIMER1 0x00
#define TIMER2 0x04
#define RELOAD 0x0c
#define LONGEST 2046 /* seconds, of 20 bits twice */

static EFI_PCI_IO *device;

static void write(UINT64 reg, EFI_PCI_IO_PROTOCOL_WIDTH width, UINT32 value)
{
	device->Mem.Write(device, width, 0, reg, 1, &value);
}

/* unlock allows one write to a register of the timers. */
static void unlock(void)
{
	write(RELOAD, EfiPciIoWidthUint16, 0x80);
	write(RELOAD, EfiPciIoWidthUint16, 0x86);
}

int i6300esb_arm(UINTN seconds)
{
	device = pci_find(0x8086, 0x25ab, -1);
	if (!device || EFI_ERROR(device->Attributes(device, EfiPciIoAttributeOperationEnable, EFI_PCI_IO_ATTRIBUTE_MEMORY, NULL)))
		return 0;
	if (seconds > LONGEST)
		seconds = LONGEST;
	UINT32 half = (UINT32)seconds << 9; /* of about 1024 ticks a second */
	pci_set_config(device, CONFIG, 2, 0x03);
	pci_set_config(device, LOCK, 1, 0);
	unlock();
	write(TIMER1, EfiPciIoWidthUint32, half);
	unlock();
	write(TIMER2, EfiPciIoWidthUint32, half);
	unlock();
	write(RELOAD, EfiPciIoWidthUint16, 0x100);
	pci_set_config(device, LOCK, 1, RUNNING);
	return (pci_config(device, LOCK, 1) & RUNNING) != 0;
}

void i6300esb_disarm(void) { pci_set_config(device, LOCK, 1, 0); }
