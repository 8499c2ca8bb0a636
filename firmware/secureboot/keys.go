// Package secureboot makes the keys of UEFI Secure Boot, signs boot programs with
// them, and enrols them into the variables of OVMF (S-104).
//
// Of its three keys the platform key (PK) may change the others, the key exchange
// key (KEK) the list of those that sign boot programs (db), and the db key signs.
package secureboot

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// Names of the keys, and of the variables that hold them (UEFI 2.10, 32.3).
const (
	Platform = "PK"
	Exchange = "KEK"
	Database = "db"
)

var names = []string{Platform, Exchange, Database}

const (
	keyBits = 2048 // the one size that every firmware takes
	// life: firmware has no trustworthy clock and does not look at it.
	life = 20 * 365 * 24 * time.Hour
)

// Keys is a folder with NAME.key, for its owner only (PKCS #8), NAME.crt (PEM) and
// NAME.cer (DER, what the menus of firmware take), for each of the three names.
type Keys struct {
	Dir string
}

// Create makes those that are not there. It never replaces one.
func (k Keys) Create(now time.Time) (made bool, err error) {
	if err := os.MkdirAll(k.Dir, 0o700); err != nil {
		return false, err
	}
	for _, name := range names {
		if _, err := os.Stat(k.path(name, "cer")); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return made, err
		}
		if err := k.create(name, now); err != nil {
			return made, fmt.Errorf("make Secure Boot key %s: %w", name, err)
		}
		made = true
	}
	return made, nil
}

func (k Keys) path(name, ending string) string { return filepath.Join(k.Dir, name+"."+ending) }

// create writes the file that says that a key is complete last.
func (k Keys) create(name string, now time.Time) error {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Weir Secure Boot " + name},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		ending string
		data   []byte
		mode   os.FileMode
	}{
		{"key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600},
		{"crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o644},
		{"cer", certificate, 0o644},
	} {
		if err := os.WriteFile(k.path(name, f.ending), f.data, f.mode); err != nil {
			return err
		}
	}
	return nil
}

// Certificate reads that of a key, DER.
func (k Keys) Certificate(name string) ([]byte, error) {
	der, err := os.ReadFile(k.path(name, "cer"))
	if err != nil {
		return nil, fmt.Errorf("Secure Boot key %s: %w: make keys with weir-bundle secureboot keys", name, err)
	}
	if _, err := x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("Secure Boot key %s: %s: %w", name, k.path(name, "cer"), err)
	}
	return der, nil
}
