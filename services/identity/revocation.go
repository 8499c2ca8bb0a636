package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// Revocations are the certificates that are not accepted any more, from a list
// (RFC 5280, section 5) that provisiond writes, and that is read again when it
// changes. While there is no file, nobody is revoked; of a file that cannot be used
// nothing is taken, and the list before it stays in force.
type Revocations struct {
	path string
	ca   *x509.Certificate

	mu      sync.Mutex
	read    fs.FileInfo
	looked  time.Time
	serials map[string]bool
}

// lookAgain is how long a list is used before the file is looked at again.
const lookAgain = time.Second

// maxRevocations bounds the file, in bytes: a hundred thousand certificates.
const maxRevocations = 8 << 20

// ReadRevocations reads the list of the identity's authority.
func ReadRevocations(path, ca string) (*Revocations, error) {
	cert, err := readCert(ca)
	if err != nil {
		return nil, err
	}
	r := &Revocations{path: path, ca: cert, serials: map[string]bool{}}
	return r, r.load()
}

// Refuse is an error if the certificate is revoked.
func (r *Revocations) Refuse(c *x509.Certificate) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.looked) >= lookAgain || now.Before(r.looked) {
		r.looked = now
		_ = r.load() // the last usable one stays in force
	}
	if r.serials[c.SerialNumber.String()] {
		return errors.New("the certificate is revoked")
	}
	return nil
}

func (r *Revocations) load() error {
	info, err := os.Stat(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the list of revoked certificates: %w", err)
	}
	if r.read != nil && os.SameFile(r.read, info) && r.read.ModTime().Equal(info.ModTime()) && r.read.Size() == info.Size() {
		return nil
	}
	if info.Size() > maxRevocations {
		return fmt.Errorf("%s has %d bytes: that is no list of revoked certificates", r.path, info.Size())
	}
	der, err := os.ReadFile(r.path)
	if err != nil {
		return fmt.Errorf("read the list of revoked certificates: %w", err)
	}
	list, err := x509.ParseRevocationList(der)
	if err == nil {
		err = list.CheckSignatureFrom(r.ca)
	}
	if err != nil {
		return fmt.Errorf("%s is no list of the cluster's authority: %w", r.path, err)
	}
	serials := map[string]bool{}
	for _, e := range list.RevokedCertificateEntries {
		serials[e.SerialNumber.String()] = true
	}
	r.serials, r.read = serials, info
	return nil
}
