package identity

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// AuthorityFingerprint names an authority's certificate, in DER: its SHA-256.
func AuthorityFingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// Pinned is how a machine without an identity calls a host whose authority it
// knows by fingerprint only: it shows no certificate, and the host must show one
// of that authority, with the authority's own behind it, for its address and one
// of the roles.
func Pinned(fingerprint, host string, to ...Role) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // VerifyConnection does it: there is no authority to give to the library
		VerifyConnection: func(s tls.ConnectionState) error {
			i := slices.IndexFunc(s.PeerCertificates, func(c *x509.Certificate) bool { return AuthorityFingerprint(c.Raw) == fingerprint })
			if i < 0 {
				return errors.New("the service is not of the cluster whose authority is expected")
			}
			ca := s.PeerCertificates[i]
			cluster, err := clusterOf(ca)
			if err != nil {
				return err
			}
			roots := x509.NewCertPool()
			roots.AddCert(ca)
			if _, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: host}); err != nil {
				return fmt.Errorf("the service's certificate: %w", err)
			}
			return (&Identity{Name: Name{Cluster: cluster}}).accept(s, to)
		},
	}
}

// WithAuthority is a server's configuration that shows the authority's
// certificate, in DER, too, for those that know it by fingerprint only.
func WithAuthority(c *tls.Config, ca []byte) *tls.Config {
	c = c.Clone()
	get := c.GetCertificate
	c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		own, err := get(hello)
		if err != nil || bytes.Equal(own.Certificate[len(own.Certificate)-1], ca) {
			return own, err
		}
		both := *own
		both.Certificate = append(slices.Clone(own.Certificate), ca)
		return &both, nil
	}
	return c
}
