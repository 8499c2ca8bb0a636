package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Files are where a machine's identity is.
type Files struct {
	CA   string `json:"ca"`
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

// Identity is a machine's or an operator's own.
type Identity struct {
	Name  Name
	pair  pair
	roots *x509.CertPool
	ca    *x509.Certificate

	revoked *Revocations // nil: nobody is
}

// Refuse makes the identity refuse peers whose certificate is revoked, from their
// next connection on.
func (i *Identity) Refuse(r *Revocations) { i.revoked = r }

// Load reads an identity and checks that its authority signed it.
func Load(f Files) (*Identity, error) {
	ca, err := readCert(f.CA)
	if err != nil {
		return nil, err
	}
	cluster, err := clusterOf(ca)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.CA, err)
	}
	i := &Identity{roots: x509.NewCertPool(), ca: ca}
	i.roots.AddCert(ca)
	i.pair = pair{files: f, check: func(c *tls.Certificate) error {
		name, err := nameOf(c.Leaf)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Cert, err)
		}
		if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: i.roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			return fmt.Errorf("%s is not signed by %s: %w", f.Cert, f.CA, err)
		}
		if name.Cluster != cluster {
			return fmt.Errorf("%s is of cluster %s, %s of cluster %s", f.Cert, name.Cluster, f.CA, cluster)
		}
		switch i.Name {
		case Name{}:
			i.Name = name // before anybody else has the identity
		case name:
		default:
			return fmt.Errorf("%s is of %s, and this is %s", f.Cert, name, i.Name)
		}
		return nil
	}}
	if err := i.pair.load(); err != nil {
		return nil, err
	}
	return i, nil
}

// Authority is the fingerprint of the authority's certificate.
func (i *Identity) Authority() string { return AuthorityFingerprint(i.ca.Raw) }

// Server is how we accept connections: from holders of our authority's
// certificates with one of the roles.
func (i *Identity) Server(from ...Role) *tls.Config {
	return i.show(&tls.Config{
		MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: i.roots,
		VerifyConnection: func(s tls.ConnectionState) error { return i.accept(s, from) },
	})
}

// Client is how we call: the address must be one of the certificate's, and its
// holder have one of the roles.
func (i *Identity) Client(to ...Role) *tls.Config {
	return i.show(&tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: i.roots,
		VerifyConnection: func(s tls.ConnectionState) error { return i.accept(s, to) },
	})
}

// accept judges a peer whose chain is verified.
func (i *Identity) accept(s tls.ConnectionState, roles []Role) error {
	n, err := peerOf(s)
	switch {
	case err != nil:
		return err
	case n.Cluster != i.Name.Cluster:
		return fmt.Errorf("the peer is %s, and this is cluster %s", n, i.Name.Cluster)
	case !slices.Contains(roles, n.Role):
		return fmt.Errorf("the peer is %s; only these roles are accepted: %s", n, roleNames(roles))
	case i.revoked != nil:
		return i.revoked.Refuse(s.PeerCertificates[0])
	}
	return nil
}

func peerOf(s tls.ConnectionState) (Name, error) {
	if len(s.PeerCertificates) == 0 {
		return Name{}, errors.New("the peer showed no certificate")
	}
	return nameOf(s.PeerCertificates[0])
}

// Peer is who makes a gRPC call, or who answers one.
func Peer(ctx context.Context) (Name, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Name{}, errors.New("the call has no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return Name{}, errors.New("the call is not over TLS")
	}
	return peerOf(info.State)
}
