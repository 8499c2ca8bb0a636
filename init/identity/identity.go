// Package identity tells which machine this is, from SMBIOS (the phase
// "identity").
package identity

import (
	"strings"

	"github.com/u-root/u-root/pkg/smbios"

	"weir/init/phase"
)

// Identity is what the machine's maker wrote into it. Any part may be empty.
type Identity struct {
	UUID    string // lower case, with dashes
	Serial  string
	Vendor  string
	Product string
}

// Read is the phase.
func Read() (Identity, phase.Outcome) {
	const remedy = "none is needed; provisioning can know this machine by a MAC address only"
	info, err := smbios.FromSysfs()
	if err != nil {
		return Identity{}, phase.Degrade(remedy, "the machine has no SMBIOS table: %v", err)
	}
	sys, err := info.GetSystemInfo()
	if err != nil {
		return Identity{}, phase.Degrade(remedy, "the machine's SMBIOS table does not describe it: %v", err)
	}
	id := Identity{UUID: strings.ToLower(sys.UUID.String()), Serial: said(sys.SerialNumber), Vendor: said(sys.Manufacturer), Product: said(sys.ProductName)}
	if blank(id.UUID) {
		id.UUID = ""
	}
	return id, phase.Detail("%s", id)
}

// String is for the boot log.
func (i Identity) String() string {
	parts := []string{i.Vendor, i.Product}
	if i.Serial != "" {
		parts = append(parts, "serial "+i.Serial)
	}
	if i.UUID != "" {
		parts = append(parts, "uuid "+i.UUID)
	}
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}

// said drops what makers write who have nothing to say, and what terminals
// should not see.
func said(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s))
	switch strings.ToLower(s) {
	case "not specified", "to be filled by o.e.m.", "default string", "none", "system serial number", "0", "unknown":
		return ""
	}
	return s
}

// blank: all zeros or all ones mean that there is no UUID (SMBIOS 3.7, 7.2.1),
// for which the library has words.
func blank(uuid string) bool {
	hex := strings.ReplaceAll(uuid, "-", "")
	return len(hex) != 32 || strings.Trim(hex, "0") == "" || strings.Trim(hex, "f") == ""
}
