package bootvars

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/u-root/u-root/pkg/efivarfs"

	"weir/firmware/trial"
	"weir/image/disk"
)

// firmware keeps variables as efivarfs shows them.
type firmware struct {
	have   map[efivarfs.VariableDescriptor][]byte
	order  []string // of writes
	full   bool     // has no room
	forget bool     // does not keep what is written
}

func newFirmware() *firmware { return &firmware{have: map[efivarfs.VariableDescriptor][]byte{}} }

func (f *firmware) Get(d efivarfs.VariableDescriptor) (efivarfs.VariableAttributes, []byte, error) {
	b, ok := f.have[d]
	if !ok {
		return 0, nil, fs.ErrNotExist
	}
	return kept, b, nil
}

func (f *firmware) List() (all []efivarfs.VariableDescriptor, err error) {
	for d := range f.have {
		all = append(all, d)
	}
	return all, nil
}

func (f *firmware) Remove(d efivarfs.VariableDescriptor) error {
	delete(f.have, d)
	f.order = append(f.order, "-"+d.Name)
	return nil
}

func (f *firmware) Set(d efivarfs.VariableDescriptor, a efivarfs.VariableAttributes, b []byte) error {
	if f.full {
		return errors.New("no space left on device")
	}
	if a != kept {
		return errors.New("wrong attributes")
	}
	if !f.forget {
		f.have[d] = slices.Clone(b)
	}
	f.order = append(f.order, d.Name)
	return nil
}

// entry is the one of that number.
func (f *firmware) entry(t *testing.T, n uint16) Option {
	t.Helper()
	o, err := ParseOption(f.have[descriptor(global, entryName(n))])
	if err != nil {
		t.Fatalf("%s: %v", entryName(n), err)
	}
	return o
}

// starts are the descriptions of a list of entries.
func starts(t *testing.T, v *Variables, f *firmware, name string) (all []string) {
	t.Helper()
	numbers, err := v.numbers(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range numbers {
		all = append(all, f.entry(t, n).Description)
	}
	return all
}

var places = Places{
	Boot: Partition{Number: 1, Start: 2048, Size: 131072, ID: disk.GUID(disk.Boot)},
	A:    Partition{Number: 2, Start: 133120, Size: 524288, ID: disk.GUID(disk.SlotA)},
	B:    Partition{Number: 3, Start: 657408, Size: 524288, ID: disk.GUID(disk.SlotB)},
}

// network is an entry for PXE as OVMF makes them; it starts no file.
const network = "010000003b0055004500460049002000500058004500000002010c00d041030a00000000010106000002030b25005254001234560000000000000000000000000000000000000000000000000000017fff04004eac0881119f594d850ee21a522c59b2"

func networkEntry(t *testing.T) []byte {
	t.Helper()
	b, err := hex.DecodeString(network)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnEntryIsReadAsItWasWritten(t *testing.T) {
	for _, o := range []Option{places.slot(trial.A), places.slot(trial.B), places.loader(), places.trial(trial.B)} {
		b, err := o.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseOption(b)
		if err != nil {
			t.Fatal(err)
		}
		if !same(got, o) || got.Description != o.Description {
			t.Errorf("%+v becomes %+v", o, got)
		}
		again, err := got.Bytes()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x becomes %x, %v", b, again, err)
		}
	}
}

// The bytes are laid out by hand from sections 3.1.3, 10.3.5.1 and 10.3.5.4.
func TestAnEntryIsThatOfTheSpecification(t *testing.T) {
	o := Option{Attributes: Active, Description: "W", Partition: Partition{Number: 2, Start: 0x20800, Size: 0x80000, ID: "00112233-4455-6677-8899-AABBCCDDEEFF"}, File: "a.efi"}
	const want = "01000000" + "4000" + "57000000" +
		"04012a00" + "02000000" + "0008020000000000" + "0000080000000000" + "33221100554477668899aabbccddeeff" + "0202" +
		"04041200" + "5c0061002e006500660069000000" + "7fff0400"
	if b, err := o.Bytes(); err != nil || hex.EncodeToString(b) != want {
		t.Errorf("got  %x, %v\nwant %s", b, err, want)
	}
}

func TestEntriesForBothSlotsAreMadeAndOrdered(t *testing.T) {
	f := newFirmware()
	v := &Variables{f}
	f.have[descriptor(global, "Boot0000")] = networkEntry(t)
	f.have[descriptor(global, "Boot0001")] = []byte("damaged")
	f.have[descriptor(global, "BootOrder")] = []byte{0, 0}
	if changed, err := v.Prefer(places, trial.A); err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	if got := starts(t, v, f, "BootOrder"); !slices.Equal(got, []string{"Weir slot a", "Weir slot b", "Weir", "UEFI PXE"}) {
		t.Errorf("the order is %q", got)
	}
	if last := f.order[len(f.order)-1]; last != "BootOrder" {
		t.Errorf("the order is written before its entries: %v", f.order)
	}
	if string(f.have[descriptor(global, "Boot0001")]) != "damaged" {
		t.Error("an entry that belongs to others was written over")
	}
	if changed, err := v.Prefer(places, trial.A); err != nil || changed {
		t.Errorf("the second time: changed %v, %v", changed, err)
	}
	if changed, err := v.Prefer(places, trial.B); err != nil || !changed {
		t.Errorf("the other slot: changed %v, %v", changed, err)
	}
	if got := starts(t, v, f, "BootOrder"); got[0] != "Weir slot b" || got[1] != "Weir slot a" || len(got) != 4 {
		t.Errorf("the order is %q", got)
	}
}

func TestWipedOrForeignVariablesAreRepaired(t *testing.T) {
	f := newFirmware()
	v := &Variables{f}
	prefer := func(want bool) {
		t.Helper()
		if changed, err := v.Prefer(places, trial.B); err != nil || changed != want {
			t.Errorf("changed %v, %v", changed, err)
		}
		if got := starts(t, v, f, "BootOrder"); !slices.Equal(got[:3], []string{"Weir slot b", "Weir slot a", "Weir"}) {
			t.Errorf("the order is %q", got)
		}
	}
	prefer(true)
	clear(f.have)
	prefer(true)
	delete(f.have, descriptor(global, "BootOrder"))
	prefer(true)
	// Another disk was in this machine before.
	old := places.slot(trial.B)
	old.Partition.ID = "00112233-4455-6677-8899-AABBCCDDEEFF"
	b, _ := old.Bytes()
	f.have[descriptor(global, "Boot0000")] = b
	prefer(true)
	if len(f.have) != 4 {
		t.Errorf("there are %d variables, want three entries and their order", len(f.have))
	}
	prefer(false)
}

func TestATrialIsTheNextBootOnly(t *testing.T) {
	f := newFirmware()
	v := &Variables{f}
	if _, err := v.Prefer(places, trial.A); err != nil {
		t.Fatal(err)
	}
	before := len(f.have)
	if err := v.TryNext(places, trial.B); err != nil {
		t.Fatal(err)
	}
	next, err := v.numbers("BootNext")
	if err != nil || len(next) != 1 {
		t.Fatalf("next %v, %v", next, err)
	}
	o := f.entry(t, next[0])
	if o.File != disk.BootPath || o.Partition != places.Boot || string(o.Data) != "t\x00r\x00i\x00a\x00l\x00=\x00b\x00\x00\x00" {
		t.Errorf("next is %+v", o)
	}
	// This firmware adds every entry to its order.
	order, _ := v.numbers("BootOrder")
	if slices.Contains(order, next[0]) {
		t.Error("the trial is in the order")
	}
	if _, err := v.setNumbers("BootOrder", append(order, next[0])); err != nil {
		t.Fatal(err)
	}
	if err := v.Forget(); err != nil {
		t.Fatal(err)
	}
	if got := starts(t, v, f, "BootOrder"); len(got) != 3 || len(f.have) != before {
		t.Errorf("after it: the order is %q, %d variables of %d", got, len(f.have), before)
	}
	if err := v.Forget(); err != nil {
		t.Errorf("nothing to forget: %v", err)
	}
}

func TestFirmwareThatKeepsNothingIsNamed(t *testing.T) {
	for want, f := range map[string]*firmware{"no room left": {full: true}, "does not keep it": {forget: true}} {
		f.have = newFirmware().have
		if _, err := (&Variables{f}).Prefer(places, trial.A); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want …%s…", err, want)
		}
	}
	v := &Variables{newFirmware()}
	if _, err := v.Prefer(places, trial.None); err == nil {
		t.Error("no slot is preferred")
	}
	if err := v.TryNext(places, trial.None); err == nil {
		t.Error("no slot is tried")
	}
}

func TestWhatStartedThisBootIsKnown(t *testing.T) {
	f := newFirmware()
	v := &Variables{f}
	if s, err := v.Started(places); err != nil || s != trial.None {
		t.Errorf("nothing is said: %v, %v", s, err)
	}
	if told, err := v.Told(); err != nil || told != nil {
		t.Errorf("no loader: %+v, %v", told, err)
	}
	if _, err := v.Prefer(places, trial.B); err != nil {
		t.Fatal(err)
	}
	for n, want := range []trial.Slot{trial.B, trial.A, trial.None} {
		f.have[descriptor(global, "BootCurrent")] = []byte{byte(n), 0}
		if s, err := v.Started(places); err != nil || s != want {
			t.Errorf("entry %d: %v, %v, want %v", n, s, err, want)
		}
	}
	f.have[descriptor(Vendor, "WeirBoot")] = []byte("slot=b how=trial nonce=1f watchdog=i6300esb:180")
	if told, err := v.Told(); err != nil || *told != (Told{Slot: trial.B, Trial: true, Nonce: 0x1f, Watchdog: "i6300esb", Limit: 3 * time.Minute}) {
		t.Errorf("got %+v, %v", told, err)
	}
	if e := v.Evidence(0x1f); e != trial.NotBegun {
		t.Errorf("no trial: %v", e)
	}
	f.have[descriptor(Vendor, "WeirTrial")] = []byte{0x1f, 0, 0, 0, 0, 0, 0, 0}
	if e := v.Evidence(0x1f); e != trial.Begun {
		t.Errorf("the trial: %v", e)
	}
	if e := v.Evidence(0x20); e != trial.NotBegun {
		t.Errorf("another one: %v", e)
	}
}

func TestWhatTheLoaderTellsIsRead(t *testing.T) {
	for text, want := range map[string]Told{
		"slot=a how=chosen":                              {Slot: trial.A},
		"slot=a how=fallback failed=b:26":                {Slot: trial.A, Failed: trial.B, Why: statuses[26]},
		"slot=a how=fallback failed=b:99 new=word":       {Slot: trial.A, Failed: trial.B, Why: "status 99"},
		"slot=a how=fallback refused=3":                  {Slot: trial.A, Refused: refusals["3"]},
		"slot=b how=trial nonce=ffffffffffffffff ending": {Slot: trial.B, Trial: true, Nonce: 1<<64 - 1},
	} {
		if got, err := ParseTold(text); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "slot=c", "how=trial", strings.Repeat("x", 300)} {
		if _, err := ParseTold(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func FuzzAnyVariableIsABootEntryOrNot(f *testing.F) {
	for _, o := range []Option{places.slot(trial.A), places.trial(trial.B)} {
		b, err := o.Bytes()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	b, _ := hex.DecodeString(network)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ParseOption(b)
		if err != nil {
			return
		}
		again, err := o.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		second, err := ParseOption(again)
		if err != nil || !reflect.DeepEqual(second, o) {
			t.Errorf("%+v becomes %+v, %v", o, second, err)
		}
	})
}

func FuzzAnyTextIsToldOrNot(f *testing.F) {
	f.Add("slot=b how=trial nonce=1f watchdog=i6300esb:180 failed=a:14 refused=1")
	f.Fuzz(func(t *testing.T, text string) {
		if told, err := ParseTold(text); err == nil && told.Slot.Other() == trial.None {
			t.Errorf("%q names the slot %v", text, told.Slot)
		}
	})
}
