package machines

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"time"
)

// Standing is how far a machine's enrolment is.
type Standing string

// Standings.
const (
	Pending  Standing = "pending"
	Approved Standing = "approved"
	Revoked  Standing = "revoked"
)

// Record is a machine that made a key.
type Record struct {
	Fingerprint string    `json:"fingerprint"`
	Standing    Standing  `json:"standing"`
	Hardware    Hardware  `json:"hardware"` // as it was when it was approved
	Public      []byte    `json:"public"`   // SubjectPublicKeyInfo, DER
	Role        string    `json:"role,omitempty"`
	ID          string    `json:"id,omitempty"`
	Certificate []byte    `json:"certificate,omitempty"` // the newest, DER
	Expires     time.Time `json:"expires,omitzero"`
	Issued      []Issued  `json:"issued,omitempty"` // all that have not expired

	Address netip.Addr `json:"-"` // it called from
	Seen    time.Time  `json:"-"`
	Version string     `json:"-"` // that it says it runs
}

// Issued is a certificate that was given out.
type Issued struct {
	Serial  *big.Int  `json:"serial"`
	Expires time.Time `json:"expires"`
	Revoked time.Time `json:"revoked,omitzero"`
}

// name is the entry that the record was approved as.
func (r *Record) name() string { return r.Role + " " + r.ID }

// Key is a machine's public key, whose owner proved that he has the private one.
type Key struct {
	Public      any
	DER         []byte // SubjectPublicKeyInfo
	Fingerprint string
}

// MaxCSR bounds a certificate request, in bytes; one with RSA of 4096 bits has 1,6 KiB.
const MaxCSR = 8 << 10

// ParseCSR reads a certificate request (RFC 2986). Only its key counts: names and
// addresses are the operator's to give.
func ParseCSR(der []byte) (Key, error) {
	if len(der) > MaxCSR {
		return Key{}, fmt.Errorf("the certificate request has %d bytes, at most %d are taken", len(der), MaxCSR)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return Key{}, errors.New("the certificate request cannot be read")
	}
	switch k := r.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
			return Key{}, errors.New("the key is on an unknown curve; use P-256 or P-384")
		}
	case ed25519.PublicKey:
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < 2048 || n > 4096 || k.E != 65537 {
			return Key{}, errors.New("the RSA key is not usable; use 2048 to 4096 bits and the exponent 65537")
		}
	default:
		return Key{}, errors.New("the key is of an unknown kind; use ECDSA, Ed25519 or RSA")
	}
	if err := r.CheckSignature(); err != nil {
		return Key{}, errors.New("the certificate request is not signed by its own key")
	}
	return Key{r.PublicKey, r.RawSubjectPublicKeyInfo, Fingerprint(r.RawSubjectPublicKeyInfo)}, nil
}

// Fingerprint names a public key: SHA-256 over its SubjectPublicKeyInfo.
func Fingerprint(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}

// selects reports whether what an operator writes means the record: its
// fingerprint or at least 8 digits of its beginning, or a MAC address.
func (r *Record) selects(s string) bool {
	s = strings.ToLower(s)
	digits := strings.NewReplacer(":", "", "-", "", " ", "").Replace(s)
	return r.Hardware.has(s) || len(digits) >= 8 && strings.HasPrefix(r.Fingerprint, digits)
}
