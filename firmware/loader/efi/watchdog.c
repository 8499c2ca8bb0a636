#include "loader.h"

/* The timers that the loader knows. One suffices: a second one might outlive the
 * system's driver for the first. */
static const struct timer {
	const CHAR16 *name;
	int (*arm)(UINTN seconds);
	void (*disarm)(void);
} timers[] = {
	{L"i6300esb", i6300esb_arm, i6300esb_disarm},
	{L"iTCO", tco_arm, tco_disarm},
};

static const struct timer *armed;

const CHAR16 *watchdog_arm(UINTN seconds)
{
	/* The firmware's own, until the kernel takes over. It has no driver to fail. */
	BS->SetWatchdogTimer(seconds, 0x10000, 0, NULL);
	for (UINTN i = 0; i < sizeof timers / sizeof timers[0]; i++)
		if (timers[i].arm(seconds)) {
			armed = &timers[i];
			return armed->name;
		}
	return NULL;
}

void watchdog_disarm(void)
{
	if (armed)
		armed->disarm();
	armed = NULL;
	BS->SetWatchdogTimer(300, 0x10000, 0, NULL); /* what a boot entry begins with (UEFI 2.10, 3.1.2) */
}
