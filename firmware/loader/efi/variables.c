#include "guids.h"
#include "loader.h"

static EFI_GUID vendor = VENDOR_GUID;
/* systemd's, in which its stub notes the partition that it came from. */
static EFI_GUID systemd = {0x4a67b082, 0x0a4c, 0x41cf, {0xb6, 0xc7, 0x44, 0x0b, 0x29, 0xbb, 0x8c, 0x4f}};

#define UNTIL_RESET (EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS)

UINT64 variables_started(void)
{
	UINT64 nonce = 0;
	UINTN size = sizeof nonce;
	if (EFI_ERROR(RT->GetVariable(L"WeirTrial", &vendor, NULL, &size, &nonce)) || size != sizeof nonce)
		return 0;
	return nonce;
}

EFI_STATUS variables_set_started(UINT64 nonce)
{
	EFI_STATUS status = RT->SetVariable(L"WeirTrial", &vendor, EFI_VARIABLE_NON_VOLATILE | UNTIL_RESET, sizeof nonce, &nonce);
	if (!EFI_ERROR(status) && variables_started() != nonce)
		return EFI_DEVICE_ERROR;
	return status;
}

/* text that grows in a fixed place. */
struct text {
	char b[256];
	UINTN n;
};

static void put(struct text *t, char c)
{
	if (t->n < sizeof t->b)
		t->b[t->n++] = c;
}

static void word(struct text *t, const char *key)
{
	if (t->n)
		put(t, ' ');
	for (; *key; key++)
		put(t, *key);
}

static void number(struct text *t, UINT64 n, unsigned base)
{
	char digits[20];
	int i = 0;
	do
		digits[i++] = "0123456789abcdef"[n % base];
	while ((n /= base) && i < 20);
	while (i > 0)
		put(t, digits[--i]);
}

/* Words of key and value, as in "slot=b how=trial nonce=1f watchdog=i6300esb:180". */
void variables_tell(const struct told *told)
{
	/* Only the first stub of a boot would set it: without this, a slot that came
	 * back would be taken for the one that runs. It may not be there. */
	RT->SetVariable(L"LoaderDevicePartUUID", &systemd, 0, 0, NULL);

	struct text t = {.n = 0};
	word(&t, "slot=");
	put(&t, told->slot);
	word(&t, "how=");
	for (const char *c = told->how; *c; c++)
		put(&t, *c);
	if (told->nonce) {
		word(&t, "nonce=");
		number(&t, told->nonce, 16);
	}
	if (told->watchdog) {
		word(&t, "watchdog=");
		for (const CHAR16 *c = told->watchdog; *c; c++)
			put(&t, (char)*c);
		put(&t, ':');
		number(&t, told->seconds, 10);
	}
	if (told->failed) {
		word(&t, "failed=");
		put(&t, told->failed);
		put(&t, ':');
		number(&t, told->error, 10);
	}
	if (told->refused != TRIAL_MAY) {
		word(&t, "refused=");
		number(&t, told->refused, 10);
	}
	/* A system that is not told works it out by itself. */
	RT->SetVariable(L"WeirBoot", &vendor, UNTIL_RESET, t.n, t.b);
}
