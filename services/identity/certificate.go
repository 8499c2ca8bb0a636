package identity

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"weir/services/identity/tpmkey"
)

// pair is an identity's certificate and key. A renewed certificate, which is
// another file in the same place, is taken from the next connection on: nobody has
// to restart.
type pair struct {
	files Files
	check func(*tls.Certificate) error

	mu     sync.Mutex
	cert   *tls.Certificate
	read   fs.FileInfo
	looked time.Time
}

// current is the certificate to show. What cannot be used in its place is not
// taken: the one before it stays, for as long as it is valid.
func (p *pair) current() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.looked) >= lookAgain || now.Before(p.looked) {
		p.looked = now
		_ = p.load()
	}
	return p.cert
}

func (p *pair) load() error {
	info, err := os.Stat(p.files.Cert)
	if err != nil {
		return fmt.Errorf("read a certificate: %w", err)
	}
	if p.read != nil && os.SameFile(p.read, info) && p.read.ModTime().Equal(info.ModTime()) && p.read.Size() == info.Size() {
		return nil
	}
	cert, err := readPair(p.files)
	if err != nil {
		return fmt.Errorf("read the certificate %s: %w", p.files.Cert, err)
	}
	if err := p.check(&cert); err != nil {
		return err
	}
	p.cert, p.read = &cert, info
	return nil
}

// readPair reads a certificate and its key, which may be in the machine's TPM.
func readPair(f Files) (tls.Certificate, error) {
	key, err := os.ReadFile(f.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	block, _ := pem.Decode(key)
	if block == nil || block.Type != tpmkey.PEMType {
		return tls.LoadX509KeyPair(f.Cert, f.Key)
	}
	leaf, err := readCert(f.Cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	k, err := tpmkey.Parse(block.Bytes)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s: %w", f.Key, err)
	}
	if public, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || !public.Equal(k.Public()) {
		return tls.Certificate{}, fmt.Errorf("it is not of the key in %s", f.Key)
	}
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: k, Leaf: leaf, SupportedSignatureAlgorithms: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}}, nil
}

// Certificate is the one in use.
func (i *Identity) Certificate() *x509.Certificate { return i.pair.current().Leaf }

// show gives a TLS configuration the certificate that is current at the time of
// each connection.
func (i *Identity) show(c *tls.Config) *tls.Config {
	c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return i.pair.current(), nil }
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return i.pair.current(), nil }
	return c
}
