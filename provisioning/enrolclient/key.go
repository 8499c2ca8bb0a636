// Package enrolclient is a machine's side of enrolment (S-105): it makes the
// machine's key, asks for a certificate until an operator approves, renews it, and
// gets the machine's configuration.
package enrolclient

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"weir/services/api"
	"weir/services/identity"
	"weir/services/identity/tpmkey"
)

// Names of the files in a machine's identity folder.
const (
	caFile   = "ca.crt"
	certFile = "machine.crt"
	keyFile  = "machine.key"
)

// Files are a machine's, in its folder.
func Files(dir string) identity.Files {
	return identity.Files{CA: filepath.Join(dir, caFile), Cert: filepath.Join(dir, certFile), Key: filepath.Join(dir, keyFile)}
}

// Key reads the machine's key, or makes it: in its TPM if it has one that can, else
// in the folder.
func Key(dir string) (crypto.Signer, error) {
	path := filepath.Join(dir, keyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(dir, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the machine's key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM; remove it, and the machine makes another key and has to be approved again", path)
	}
	if block.Type == tpmkey.PEMType {
		k, err := tpmkey.Parse(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return k, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s holds no key that can sign; remove it, and the machine makes another one and has to be approved again", path)
	}
	return signer, nil
}

func makeKey(dir, path string) (crypto.Signer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the machine's key: %w", err)
	}
	if k, err := tpmkey.Open(); err == nil {
		text, err := k.Encode()
		if err != nil {
			return nil, err
		}
		return k, write(path, text, 0o600)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the machine's key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the machine's key: %w", err)
	}
	return key, write(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// Save writes the certificates of an approved enrolment, after a look whether they
// are of this key.
func Save(dir string, key crypto.Signer, e *api.Enrolment) error {
	c, err := x509.ParseCertificate(e.Certificate)
	if err != nil {
		return fmt.Errorf("read the certificate that was given: %w", err)
	}
	own, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encode the machine's public key: %w", err)
	}
	if string(own) != string(c.RawSubjectPublicKeyInfo) {
		return errors.New("the certificate that was given is of another key")
	}
	for _, f := range []struct {
		name string
		der  []byte
	}{{caFile, e.Authority}, {certFile, e.Certificate}} {
		if err := write(filepath.Join(dir, f.name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.der}), 0o644); err != nil {
			return err
		}
	}
	_, err = identity.Load(Files(dir))
	return err
}

// write replaces a file in one step.
func write(path string, b []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// Fingerprint names the machine's key, as its console and weirctl show it.
func Fingerprint(key crypto.Signer) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", fmt.Errorf("encode the machine's public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// Kept is where a key is, for people.
func Kept(key crypto.Signer) string {
	if _, ok := key.(*tpmkey.Key); ok {
		return "in its TPM"
	}
	return "in its state"
}

// Request is a certificate request for the key (RFC 2986), in DER. It names
// nobody: what the machine is, is the operator's to say.
func Request(key crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return der, nil
}

// AuthorityOf is the fingerprint of an authority's certificate in a file, as
// weir.enrol_ca= wants it.
func AuthorityOf(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the authority's certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return "", fmt.Errorf("%s is not PEM", path)
	}
	return identity.AuthorityFingerprint(block.Bytes), nil
}
