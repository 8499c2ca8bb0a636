// Package machines knows the machines of a cluster: which entry of provisiond.yaml
// a machine belongs to, which are pending, approved and revoked, and what each
// boots (S-105). Time is an argument; what is to be remembered goes to a Store.
package machines

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"weir/services/config"
)

// Hardware is what a machine says of itself. Nobody proves it, except that an
// address on the network belongs to one of its MAC addresses.
type Hardware struct {
	MACs   []string `json:"macs,omitempty"` // lower case, sorted
	Serial string   `json:"serial,omitempty"`
	UUID   string   `json:"uuid,omitempty"` // lower case
}

const (
	maxMACs   = 16
	maxSerial = 64 // SMBIOS strings are short
)

var (
	serialForm = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?$`)
	uuidForm   = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// NewHardware checks what a machine says, and brings it into the form in which it
// is compared.
func NewHardware(macs []string, serial, uuid string) (Hardware, error) {
	h := Hardware{Serial: strings.TrimSpace(serial), UUID: strings.ToLower(uuid)}
	if len(macs) > maxMACs {
		return h, fmt.Errorf("%d MAC addresses are too many, at most %d", len(macs), maxMACs)
	}
	for _, s := range macs {
		m, err := net.ParseMAC(s)
		if err != nil || len(m) != 6 {
			return h, fmt.Errorf("%.20q is not a MAC address", s)
		}
		h.MACs = append(h.MACs, m.String())
	}
	slices.Sort(h.MACs)
	h.MACs = slices.Compact(h.MACs)
	if h.Serial != "" && (len(h.Serial) > maxSerial || !serialForm.MatchString(h.Serial)) {
		return h, fmt.Errorf("%.20q is not a serial number", h.Serial)
	}
	if h.UUID != "" && !uuidForm.MatchString(h.UUID) {
		return h, fmt.Errorf("%.40q is not a UUID", h.UUID)
	}
	return h, nil
}

// has reports whether an address is the machine's.
func (h Hardware) has(mac string) bool { return slices.Contains(h.MACs, mac) }

// String names the machine for people.
func (h Hardware) String() string {
	var s []string
	for _, p := range []struct{ name, value string }{{"MAC", strings.Join(h.MACs, ", ")}, {"serial", h.Serial}, {"UUID", h.UUID}} {
		if p.value != "" {
			s = append(s, p.name+" "+p.value)
		}
	}
	if len(s) == 0 {
		return "a machine that does not say what it is"
	}
	return strings.Join(s, ", ")
}

// match is the only entry that knows the hardware; nil if none does, or several do.
func match(list []*Entry, h Hardware) *Entry {
	var found *Entry
	for _, e := range list {
		if !e.knows(h) {
			continue
		}
		if found != nil {
			return nil
		}
		found = e
	}
	return found
}

// Entry is one of provisiond.yaml, with its node.yaml made.
type Entry struct {
	config.ProvisionMachine
	NodeYAML  string   // empty: a server
	Addresses []string // of its certificate
}

func (e *Entry) knows(h Hardware) bool {
	return e.Serial != "" && e.Serial == h.Serial || e.UUID != "" && e.UUID == h.UUID ||
		slices.ContainsFunc(e.MACs, h.has)
}

// Name is how people call it: "node lb1".
func (e *Entry) Name() string { return e.Role + " " + e.ID }
