package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Validity of certificates. A node without a clock battery may be years behind
// after a power cut, and a certificate that ran out takes the service away, so
// both are long; whoever lost a key makes a new authority.
const (
	validCA   = 30 * 365 * 24 * time.Hour
	validLeaf = 10 * 365 * 24 * time.Hour
	backdated = 24 * time.Hour // for machines whose clock is behind
)

// CreateCA makes the authority of a cluster: ca.crt and ca.key in dir. It
// refuses to replace one.
func CreateCA(dir, cluster string) error {
	if err := (Name{cluster, Operator, "x"}).check(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the authority's folder: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	template := template("Weir authority of "+cluster, validCA)
	template.URIs = []*url.URL{{Scheme: "weir", Host: cluster, Path: "/" + authority}}
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make the authority's certificate: %w", err)
	}
	if err := write(filepath.Join(dir, "ca.key"), key); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s has an authority already; replacing it would shut everybody out", dir)
		}
		return err
	}
	return writeCert(filepath.Join(dir, "ca.crt"), der)
}

// Issue makes a certificate for somebody, signed by the authority in dir, and
// writes it there as ROLE-ID.crt and ROLE-ID.key. Addresses are the IP
// addresses and host names under which it is called; only who is called needs any.
func Issue(dir string, role Role, id string, addresses []string) (Files, error) {
	var f Files
	ca, caKey, err := readAuthority(dir)
	if err != nil {
		return f, err
	}
	cluster, err := clusterOf(ca)
	if err != nil {
		return f, fmt.Errorf("%s: %w", filepath.Join(dir, "ca.crt"), err)
	}
	name := Name{cluster, role, id}
	if err := name.check(); err != nil {
		return f, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return f, fmt.Errorf("make a key: %w", err)
	}
	der, err := sign(ca, caKey, name, addresses, key.Public(), validLeaf)
	if err != nil {
		return f, err
	}
	base := filepath.Join(dir, string(role)+"-"+id)
	f = Files{CA: filepath.Join(dir, "ca.crt"), Cert: base + ".crt", Key: base + ".key"}
	// A new certificate for a known name replaces the old one, key included.
	if err := os.Remove(f.Key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f, fmt.Errorf("replace the key: %w", err)
	}
	if err := write(f.Key, key); err != nil {
		return f, err
	}
	return f, writeCert(f.Cert, der)
}

// sign makes the certificate of name for a public key.
func sign(ca *x509.Certificate, caKey crypto.Signer, name Name, addresses []string, public crypto.PublicKey, valid time.Duration) ([]byte, error) {
	template := template(string(name.Role)+" "+name.ID, valid)
	template.URIs = []*url.URL{name.uri()}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	for _, a := range addresses {
		if ip := net.ParseIP(a); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, a)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, public, caKey)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", name, err)
	}
	return der, nil
}

func template(subject string, valid time.Duration) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic("identity: " + err.Error()) // the system's randomness does not fail
	}
	now := time.Now()
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: subject},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(valid)}
}

// write makes a file of a private key; it must not exist.
func write(path string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode a key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write a key: %w", err)
	}
	err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func writeCert(path string, der []byte) error {
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return fmt.Errorf("write a certificate: %w", err)
	}
	return nil
}

func readAuthority(dir string) (*x509.Certificate, crypto.Signer, error) {
	cert, err := readCert(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, nil, fmt.Errorf("%w; weirctl certs create-ca %s makes an authority", err, dir)
	}
	path := filepath.Join(dir, "ca.key")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the authority's key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, nil, fmt.Errorf("%s is not PEM", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s holds no private key", path) // the error could quote it
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("%s holds a key that cannot sign", path)
	}
	return cert, signer, nil
}

func readCert(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s is not a certificate in PEM", path)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}
