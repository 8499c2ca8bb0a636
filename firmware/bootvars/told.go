package bootvars

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/firmware/trial"
)

// Told is what the boot loader says of a boot, in the variable WeirBoot. A system
// that was not started by the loader has none.
type Told struct {
	Slot  trial.Slot
	Trial bool   // it was started on trial,
	Nonce uint64 // this one
	// Watchdog is the timer that ran when the system was started, and Limit its time;
	// empty: none.
	Watchdog string
	Limit    time.Duration
	Failed   trial.Slot // that could not be started before
	Why      string     // in words
	Refused  string     // why a trial was refused; empty: none was
}

// statuses are names of UEFI's status codes that a slot can fail with (appendix D).
var statuses = map[uint64]string{
	1: "Load Error: the file is no EFI program, or damaged", 2: "Invalid Parameter", 3: "Unsupported", 7: "Device Error", 9: "Out of Resources",
	10: "Volume Corrupted", 14: "Not Found: there is no image in the slot", 15: "Access Denied: Secure Boot refuses it", 26: "Security Violation: Secure Boot refuses it",
}

// refusals are numbered as in efi/record.h of the loader.
var refusals = map[string]string{
	"1": "there was no record of upgrades", "2": "the record asked for no trial of that slot, or the firmware kept no variable", "3": "the slot had had its trial",
}

// maxTold is the longest text that the loader writes, bytes.
const maxTold = 256

// ParseTold reads words such as "slot=b how=trial nonce=1f watchdog=i6300esb:180".
// Words that it does not know are left to later versions.
func ParseTold(text string) (Told, error) {
	var t Told
	if len(text) > maxTold {
		return t, fmt.Errorf("what the boot loader tells has %d bytes", len(text))
	}
	for word := range strings.FieldsSeq(text) {
		key, value, _ := strings.Cut(word, "=")
		first, second, _ := strings.Cut(value, ":")
		number, _ := strconv.ParseUint(second, 10, 32)
		switch key {
		case "slot":
			t.Slot = trial.ParseSlot(value)
		case "how":
			t.Trial = value == "trial"
		case "nonce":
			t.Nonce, _ = strconv.ParseUint(value, 16, 64)
		case "watchdog":
			t.Watchdog, t.Limit = first, time.Duration(number)*time.Second
		case "failed":
			t.Failed, t.Why = trial.ParseSlot(first), statuses[number]
			if t.Why == "" {
				t.Why = fmt.Sprintf("status %d", number)
			}
		case "refused":
			t.Refused = refusals[value]
		}
	}
	if t.Slot == trial.None {
		return t, fmt.Errorf("the boot loader tells %q, which names no slot", text)
	}
	return t, nil
}
