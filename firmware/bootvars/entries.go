package bootvars

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"weir/firmware/trial"
	"weir/image/disk"
)

// Places are the partitions that boot entries lead to.
type Places struct{ Boot, A, B Partition }

// slot is the entry that starts a slot without a way round.
func (p Places) slot(s trial.Slot) Option {
	part := p.A
	if s == trial.B {
		part = p.B
	}
	return Option{Attributes: Active, Description: "Weir slot " + s.String(), Partition: part, File: disk.SlotPath}
}

// loader is the entry of the boot loader, which starts a good slot.
func (p Places) loader() Option {
	return Option{Attributes: Active, Description: "Weir", Partition: p.Boot, File: disk.BootPath}
}

// trial is the entry that makes the loader start a slot once, watched.
func (p Places) trial(s trial.Slot) Option {
	o := p.loader()
	o.Description, o.Data = trialEntry, text16("trial="+s.String())
	return o
}

const trialEntry = "Weir trial"

// Prefer makes the firmware start a slot at every boot: BootOrder begins with its
// entry, then come that of the other slot and the loader's, then what was there.
// Entries that are missing or lead elsewhere are made anew: it also repairs
// variables that were wiped. It tells whether anything had to be changed. A
// BootOrder is replaced at once; before it names an entry, that is complete.
func (v *Variables) Prefer(p Places, s trial.Slot) (changed bool, err error) {
	if s.Other() == trial.None {
		return false, errors.New("prefer a slot: which is not known")
	}
	var first []uint16
	for _, o := range []Option{p.slot(s), p.slot(s.Other()), p.loader()} {
		n, made, err := v.ensure(o)
		if err != nil {
			return changed, err
		}
		first, changed = append(first, n), changed || made
	}
	old, err := v.numbers("BootOrder")
	if err != nil {
		return changed, err
	}
	order := slices.Clone(first)
	for _, n := range old {
		if !slices.Contains(order, n) {
			order = append(order, n)
		}
	}
	set, err := v.setNumbers("BootOrder", order)
	return changed || set, err
}

// TryNext makes the next boot, and only that one, the trial of a slot.
func (v *Variables) TryNext(p Places, s trial.Slot) error {
	if s.Other() == trial.None {
		return errors.New("try a slot: which is not known")
	}
	n, _, err := v.ensure(p.trial(s))
	if err != nil {
		return err
	}
	_, err = v.setNumbers("BootNext", []uint16{n})
	return err
}

// Forget takes TryNext back, and cleans up after it.
func (v *Variables) Forget() error {
	options, _, err := v.options()
	if err != nil {
		return err
	}
	next, err := v.numbers("BootNext")
	if err != nil {
		return err
	}
	order, err := v.numbers("BootOrder")
	if err != nil {
		return err
	}
	for n, o := range options {
		if !isTrial(o) {
			continue
		}
		if slices.Contains(next, n) {
			if err := v.remove("BootNext"); err != nil {
				return err
			}
		}
		// Some firmware adds entries to the order by itself.
		if slices.Contains(order, n) {
			order = slices.DeleteFunc(order, func(have uint16) bool { return have == n })
			if _, err := v.setNumbers("BootOrder", order); err != nil {
				return err
			}
		}
		if err := v.remove(entryName(n)); err != nil {
			return err
		}
	}
	return nil
}

func isTrial(o Option) bool {
	return o.Description == trialEntry && strings.EqualFold(o.File, disk.BootPath) && bytes.HasPrefix(o.Data, text16("trial=")[:12])
}

// ensure gives the number of an entry that starts the same as o. One of ours that
// leads elsewhere is written over.
func (v *Variables) ensure(o Option) (n uint16, changed bool, err error) {
	options, taken, err := v.options()
	if err != nil {
		return 0, false, err
	}
	number, found := uint16(0), false
	for _, n := range taken {
		have, ok := options[n]
		if !ok || have.Description != o.Description {
			continue
		}
		if !found || same(have, o) {
			number, found = n, true
		}
	}
	if found && same(options[number], o) {
		return number, false, nil
	}
	if !found {
		if number, err = free(taken); err != nil {
			return 0, false, err
		}
	}
	b, err := o.Bytes()
	if err != nil {
		return 0, false, err
	}
	changed, err = v.set(entryName(number), b)
	return number, changed, err
}

// same: what is started, and with what. Firmware is free to change the rest.
func same(a, b Option) bool {
	return a.Partition == b.Partition && strings.EqualFold(a.File, b.File) && bytes.Equal(a.Data, b.Data) && a.Attributes&Active == b.Attributes&Active
}

// free is the lowest number that no entry has.
func free(taken []uint16) (uint16, error) {
	for n := range 1 << 16 {
		if !slices.Contains(taken, uint16(n)) {
			return uint16(n), nil
		}
	}
	return 0, fmt.Errorf("the firmware has %d boot entries: delete some in its set-up", len(taken))
}

// Started is the slot whose entry the firmware started; None: it was another
// entry, or none is named.
func (v *Variables) Started(p Places) (trial.Slot, error) {
	current, err := v.numbers("BootCurrent")
	if err != nil || len(current) == 0 {
		return trial.None, err
	}
	b, err := v.get(global, entryName(current[0]))
	if err != nil || b == nil {
		return trial.None, err
	}
	o, err := ParseOption(b)
	if err != nil {
		return trial.None, nil
	}
	for _, s := range []trial.Slot{trial.A, trial.B} {
		if o.Partition.ID != "" && o.Partition.ID == p.slot(s).Partition.ID {
			return s, nil
		}
	}
	return trial.None, nil
}

// Told is what the loader says of this boot; nil: it did not start it.
func (v *Variables) Told() (*Told, error) {
	b, err := v.get(Vendor, "WeirBoot")
	if err != nil || b == nil {
		return nil, err
	}
	t, err := ParseTold(string(b))
	return &t, err
}

// Evidence says whether the loader has begun the trial of that name.
func (v *Variables) Evidence(nonce uint64) trial.Evidence {
	b, err := v.get(Vendor, "WeirTrial")
	switch {
	case err != nil:
		return trial.Unknown
	case len(b) == 8 && binary.LittleEndian.Uint64(b) == nonce:
		return trial.Begun
	}
	return trial.NotBegun
}
