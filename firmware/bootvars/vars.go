package bootvars

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/u-root/u-root/pkg/efivarfs"
)

// Vendor is the GUID of the boot loader's variables, WeirBoot and WeirTrial.
const Vendor = "8B8BD7E1-1D8A-8C59-9D3A-5D0A7C2E9B64"

// global is that of the variables which the specification names.
const global = "8BE4DF61-93CA-11D2-AA0D-00E098032B8C"

// ErrUnavailable means that the machine has no boot variables that can be used: it
// was started by a BIOS, or its firmware keeps them from the system.
var ErrUnavailable = errors.New("no firmware variables")

// Variables are the machine's: efivarfs, or something like it in a test.
type Variables struct{ store efivarfs.EFIVar }

// Open uses efivarfs where init has mounted it.
func Open() (*Variables, error) {
	v, err := efivarfs.New()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return &Variables{v}, nil
}

// On uses another store.
func On(store efivarfs.EFIVar) *Variables { return &Variables{store} }

func descriptor(vendor, name string) efivarfs.VariableDescriptor {
	return efivarfs.VariableDescriptor{Name: name, GUID: uuid.MustParse(vendor)}
}

// get gives nil for a variable that is not there.
func (v *Variables) get(vendor, name string) ([]byte, error) {
	_, b, err := v.store.Get(descriptor(vendor, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the firmware variable %s: %w", name, err)
	}
	return b, nil
}

const kept = efivarfs.AttributeNonVolatile | efivarfs.AttributeBootserviceAccess | efivarfs.AttributeRuntimeAccess

// set writes only what differs: the flash of some firmware wears out.
func (v *Variables) set(name string, data []byte) (changed bool, err error) {
	old, err := v.get(global, name)
	if err == nil && old != nil && bytes.Equal(old, data) {
		return false, nil
	}
	if err := v.store.Set(descriptor(global, name), kept, data); err != nil {
		return false, fmt.Errorf("write the firmware variable %s: %w: if the firmware has no room left, delete boot entries in its set-up", name, err)
	}
	back, err := v.get(global, name)
	if err != nil {
		return false, err
	}
	if !bytes.Equal(back, data) {
		return false, fmt.Errorf("write the firmware variable %s: the firmware does not keep it: update the firmware", name)
	}
	return true, nil
}

func (v *Variables) remove(name string) error {
	if b, err := v.get(global, name); err != nil || b == nil {
		return err
	}
	if err := v.store.Remove(descriptor(global, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the firmware variable %s: %w", name, err)
	}
	return nil
}

// SecureBoot reports whether the firmware starts only what is signed (section 3.3).
func (v *Variables) SecureBoot() (bool, error) {
	b, err := v.get(global, "SecureBoot")
	return len(b) == 1 && b[0] == 1, err
}

func entryName(n uint16) string { return fmt.Sprintf("Boot%04X", n) }

// numbers reads a list of entries: BootOrder has many, BootNext and BootCurrent one.
func (v *Variables) numbers(name string) ([]uint16, error) {
	b, err := v.get(global, name)
	if err != nil {
		return nil, err
	}
	var all []uint16
	for ; len(b) >= 2; b = b[2:] {
		all = append(all, binary.LittleEndian.Uint16(b))
	}
	return all, nil
}

func (v *Variables) setNumbers(name string, all []uint16) (bool, error) {
	if len(all) == 0 { // an empty variable is none
		return true, v.remove(name)
	}
	var b []byte
	for _, n := range all {
		b = binary.LittleEndian.AppendUint16(b, n)
	}
	return v.set(name, b)
}

// options are all entries that can be read, by number. Damaged ones belong to
// others and are left alone.
func (v *Variables) options() (map[uint16]Option, []uint16, error) {
	names, err := v.store.List()
	if err != nil {
		return nil, nil, fmt.Errorf("list the firmware variables: %w", err)
	}
	all := map[uint16]Option{}
	var taken []uint16
	for _, d := range names {
		digits, ok := strings.CutPrefix(d.Name, "Boot")
		n, isEntry := entryNumber(digits)
		if !ok || !isEntry || !strings.EqualFold(d.GUID.String(), global) {
			continue
		}
		taken = append(taken, n)
		b, err := v.get(global, d.Name)
		if err != nil {
			return nil, nil, err
		}
		if o, err := ParseOption(b); err == nil {
			all[n] = o
		}
	}
	slices.Sort(taken)
	return all, taken, nil
}

// entryNumber reads four hexadecimal digits, capital ones (section 3.1.3).
func entryNumber(digits string) (n uint16, ok bool) {
	if len(digits) != 4 {
		return 0, false
	}
	for _, c := range []byte(digits) {
		i := strings.IndexByte("0123456789ABCDEF", c)
		if i < 0 {
			return 0, false
		}
		n = n<<4 | uint16(i)
	}
	return n, true
}
