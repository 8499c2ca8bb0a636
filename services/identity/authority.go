package identity

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"path/filepath"
	"time"
)

// Authority signs for machines that make their keys themselves (S-105).
type Authority struct {
	Cluster string
	cert    *x509.Certificate
	key     crypto.Signer
}

// OpenAuthority reads the authority in a folder that CreateCA made.
func OpenAuthority(dir string) (*Authority, error) {
	cert, key, err := readAuthority(dir)
	if err != nil {
		return nil, err
	}
	cluster, err := clusterOf(cert)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "ca.crt"), err)
	}
	return &Authority{cluster, cert, key}, nil
}

// Certificate is the authority's own, in DER.
func (a *Authority) Certificate() []byte { return a.cert.Raw }

// Sign makes a certificate, in DER, for somebody's public key. Addresses are as
// for Issue.
func (a *Authority) Sign(role Role, id string, addresses []string, public crypto.PublicKey, valid time.Duration) ([]byte, error) {
	name := Name{a.Cluster, role, id}
	if err := name.check(); err != nil {
		return nil, err
	}
	return sign(a.cert, a.key, name, addresses, public, valid)
}

// Revoked is a certificate that is not to be accepted any more.
type Revoked struct {
	Serial *big.Int
	At     time.Time
}

// RevocationList is the list of all of them, signed (RFC 5280, section 5), in
// DER; number grows from list to list.
func (a *Authority) RevocationList(number int64, revoked []Revoked) ([]byte, error) {
	now := time.Now()
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: now.Add(-backdated), NextUpdate: now.Add(validLeaf)}
	for _, r := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: r.Serial, RevocationTime: r.At})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign the list of revoked certificates: %w", err)
	}
	return der, nil
}
