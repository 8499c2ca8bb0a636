package cmdline

import (
	"encoding/hex"
	"fmt"
	"net"
)

// Enrolment is where the machine gets its identity and configuration. The zero
// value: it is not told.
type Enrolment struct {
	Address   string // host and port
	Authority string // SHA-256 of the authority's certificate, hexadecimal
}

// Enrolment reads weir.enrol=HOST:PORT and weir.enrol_ca=FINGERPRINT.
func (l Line) Enrolment() (Enrolment, error) {
	address, told := l.Get("weir.enrol")
	authority, named := l.Get("weir.enrol_ca")
	if !told && !named {
		return Enrolment{}, nil
	}
	if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
		return Enrolment{}, fmt.Errorf("weir.enrol=%s is not a host and a port, such as 10.40.0.1:6093", address)
	}
	if b, err := hex.DecodeString(authority); err != nil || len(b) != 32 {
		return Enrolment{}, fmt.Errorf("weir.enrol_ca=%s is not the SHA-256 of the authority's certificate, 64 hexadecimal digits", authority)
	}
	return Enrolment{address, authority}, nil
}
