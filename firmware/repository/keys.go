// Package repository makes the TUF repository that updates come from (S-104). It
// is used by those who release, never by nodes.
//
// A repository is a folder:
//
//	metadata/  timestamp.json, N.root.json, N.snapshot.json, N.targets.json
//	targets/   <sha256>.<name>, each contents once
//	staged/    N.root.json and N.targets.json that wait for signatures
//
// Nodes look into metadata/ and targets/ only. What is staged is public as well:
// without enough signatures nobody takes it.
package repository

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Endings of key files: the private key and, beside it, the public one.
const (
	PrivateEnding = ".key"
	PublicEnding  = ".pub"
)

// NewKey makes an Ed25519 key: NAME.key for its owner only (PKCS #8), and NAME.pub
// (PKIX). It never replaces one.
func NewKey(name string) error {
	name = strings.TrimSuffix(name, PrivateEnding)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	open, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return err
	}
	if err := create(name+PrivateEnding, "PRIVATE KEY", secret, 0o600); err != nil {
		return err
	}
	return create(name+PublicEnding, "PUBLIC KEY", open, 0o644)
}

func create(path, kind string, der []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	_, err = f.Write(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	return errors.Join(err, f.Sync(), f.Close())
}

// Signer is a private key in memory.
type Signer struct {
	signature.Signer
	Public *metadata.Key
	ID     string
}

// LoadSigner reads a file that NewKey has made.
func LoadSigner(path string) (*Signer, error) {
	der, err := read(path, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: not an Ed25519 key; make one with weir-bundle key new", path)
	}
	signer, err := signature.LoadED25519Signer(private)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	public, err := metadata.KeyFromPublicKey(private.Public())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	id, err := public.ID()
	return &Signer{Signer: signer, Public: public, ID: id}, err
}

// LoadPublic reads the public half of a key.
func LoadPublic(path string) (*metadata.Key, error) {
	der, err := read(path, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	public, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%s: not an Ed25519 key; make one with weir-bundle key new", path)
	}
	return metadata.KeyFromPublicKey(public)
}

func read(path, kind string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s: no %s in it; make one with weir-bundle key new", path, strings.ToLower(kind))
	}
	return block.Bytes, nil
}
