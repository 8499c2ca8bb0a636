/*
 * Weir's boot loader, \EFI\BOOT\BOOTX64.EFI on the partition weir-boot.
 *
 * Firmware that has lost its boot variables starts it as it starts removable
 * media: then it starts the slot that the record says is committed, and the
 * other one if that fails. A boot entry with the option "trial=a" or "trial=b"
 * makes it start that slot once, with the machine's watchdog running, so that a
 * kernel that hangs is reset into the committed slot.
 *
 * Slots are started through LoadImage, which checks signatures where Secure Boot
 * is on, and never changed. The loader writes nothing but firmware variables.
 */
#include "loader.h"

/* Seconds that messages stay before the firmware goes on to its next entry. */
#define READ_TIME 10

/* asked_trial is the slot that the boot entry wants tried, or 0. Some firmware
 * gives options of its own: only the very words count. */
static char asked_trial(const EFI_LOADED_IMAGE *self)
{
	static const CHAR16 words[] = L"trial=";
	const CHAR16 *given = self->LoadOptions;
	UINTN length = self->LoadOptionsSize / sizeof(CHAR16);
	if (!given || length < 7 || length > 8 || (length == 8 && given[7] != 0))
		return 0;
	for (UINTN i = 0; i < 6; i++)
		if (given[i] != words[i])
			return 0;
	return given[6] == 'a' || given[6] == 'b' ? (char)given[6] : 0;
}

/* start returns only if the slot does not start. */
static EFI_STATUS start(EFI_HANDLE image, EFI_HANDLE boot, const struct record *r, struct told *t)
{
	EFI_HANDLE loaded = NULL;
	Print(L"Weir boot loader: starting slot %c", t->slot);
	if (r && r->slots[t->slot - 'a'].version[0])
		Print(L" (version %a)", r->slots[t->slot - 'a'].version);
	Print(L"\n");
	variables_tell(t);
	EFI_STATUS status = disk_load(image, boot, t->slot, &loaded);
	if (!EFI_ERROR(status))
		status = BS->StartImage(loaded, NULL, NULL);
	else if (loaded)
		BS->UnloadImage(loaded); /* loaded, but Secure Boot forbids to start it */
	/* Whatever came back is no running system. */
	if (!EFI_ERROR(status))
		status = EFI_LOAD_ERROR;
	Print(L"Weir boot loader: slot %c does not start: %r\n", t->slot, status);
	t->failed = t->slot;
	t->error = status & ~((UINTN)1 << 63);
	return status;
}

static const CHAR16 *const refusals[] = {
	[TRIAL_NO_RECORD] = L"there is no record of upgrades",
	[TRIAL_NOT_ASKED] = L"the record asks for no trial of it",
	[TRIAL_HAD] = L"it has had its trial",
};

/* try_slot starts a slot on trial; it returns if that is not to be or fails. */
static void try_slot(EFI_HANDLE image, EFI_HANDLE boot, const struct record *r, char slot, struct told *t)
{
	t->refused = record_trial(r, slot, variables_started());
	if (t->refused != TRIAL_MAY) {
		Print(L"Weir boot loader: no trial of slot %c: %s\n", slot, refusals[t->refused]);
		return;
	}
	/* Before anything that may hang. Without it the trial could repeat for ever. */
	EFI_STATUS status = variables_set_started(r->nonce);
	if (EFI_ERROR(status)) {
		Print(L"Weir boot loader: no trial of slot %c: the firmware keeps no variable: %r\n", slot, status);
		t->refused = TRIAL_NOT_ASKED;
		return;
	}
	t->how = "trial";
	t->slot = slot;
	t->nonce = r->nonce;
	t->seconds = r->watchdog;
	t->watchdog = r->watchdog ? watchdog_arm(r->watchdog) : NULL;
	if (t->watchdog)
		Print(L"Weir boot loader: trial of slot %c, the watchdog %s resets in %u s\n", slot, t->watchdog, (UINT32)t->seconds);
	else
		Print(L"Weir boot loader: trial of slot %c, no watchdog runs\n", slot);
	start(image, boot, r, t);
	watchdog_disarm();
	t->watchdog = NULL;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	InitializeLib(image, table);
	EFI_LOADED_IMAGE *self = NULL;
	EFI_STATUS status = BS->HandleProtocol(image, &LoadedImageProtocol, (VOID **)&self);
	if (EFI_ERROR(status)) {
		Print(L"Weir boot loader: the firmware does not say what it started: %r\n", status);
		return status;
	}
	struct record record;
	const struct record *r = disk_read_record(self->DeviceHandle, &record) ? &record : NULL;
	if (!r)
		Print(L"Weir boot loader: no record of upgrades\n");
	struct told t = {.how = "chosen", .refused = TRIAL_MAY};
	char trial = asked_trial(self);
	if (trial)
		try_slot(image, self->DeviceHandle, r, trial, &t);
	char order[2];
	int slots = record_order(r, order);
	for (int i = 0; i < slots; i++) {
		if (order[i] == t.failed)
			continue;
		t.how = t.failed || t.refused != TRIAL_MAY ? "fallback" : "chosen";
		t.slot = order[i];
		status = start(image, self->DeviceHandle, r, &t);
	}
	Print(L"Weir boot loader: no slot of this disk starts: boot from the network, or write the image to the disk again\n");
	BS->Stall(READ_TIME * 1000000);
	return EFI_ERROR(status) ? status : EFI_LOAD_ERROR;
}
