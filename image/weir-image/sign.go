package main

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"

	"weir/firmware/secureboot"
)

// signer is the SHA-256 of the certificate that the image is signed with; empty:
// it is not signed.
func (b *build) signer() (string, error) {
	if b.sign == "" {
		return "", nil
	}
	certificate, err := secureboot.Keys{Dir: b.sign}.Certificate(secureboot.Database)
	return fmt.Sprintf("%x", sha256.Sum256(certificate)), err
}

// signFile signs a file of the image if the image is to be signed.
func (b *build) signFile(name string) error {
	if b.sign == "" {
		return nil
	}
	path := filepath.Join(b.out, name)
	return secureboot.Keys{Dir: b.sign}.Sign(path, path)
}
