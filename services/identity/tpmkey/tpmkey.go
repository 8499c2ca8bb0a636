// Package tpmkey is a machine's key that its TPM 2.0 has and never gives away
// (S-105). It is a primary key of the owner's hierarchy (TPM 2.0 library, part 1,
// section 14): the same at each boot for as long as nobody clears the TPM, so that
// nothing secret has to be kept anywhere else.
package tpmkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"sync"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
)

// Device is the kernel's way to the TPM, by which several programs may use it; a
// socket of swtpm(8) in tests.
var Device = "/dev/tpmrm0"

// PEMType is the kind of file that stands for such a key: it holds the public part.
const PEMType = "WEIR TPM KEY"

// Present reports whether the machine has a TPM.
func Present() bool {
	_, err := os.Stat(Device)
	return err == nil
}

// Key is one. It signs SHA-256 digests.
type Key struct{ public *ecdsa.PublicKey }

// one at a time: a TPM has room for few objects.
var using sync.Mutex

// Open finds the key in the TPM.
func Open() (*Key, error) {
	k := &Key{}
	err := use(func(t transport.TPM, p *tpm2.CreatePrimaryResponse) (err error) {
		k.public, err = publicOf(p)
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// Parse is the key that a file of PEMType stands for; the TPM is asked when it signs.
func Parse(der []byte) (*Key, error) {
	public, err := x509.ParsePKIXPublicKey(der)
	key, ok := public.(*ecdsa.PublicKey)
	if err != nil || !ok {
		return nil, errors.New("it does not hold the public part of a key in a TPM")
	}
	return &Key{key}, nil
}

// Encode is the file that stands for the key.
func (k *Key) Encode() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.public)
	if err != nil {
		return nil, fmt.Errorf("encode the TPM's public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: PEMType, Bytes: der}), nil
}

// Public implements crypto.Signer.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer: an ECDSA signature, in DER.
func (k *Key) Sign(_ io.Reader, digest []byte, o crypto.SignerOpts) (signature []byte, err error) {
	if o.HashFunc() != crypto.SHA256 || len(digest) != sha256.Size {
		return nil, fmt.Errorf("the TPM's key signs SHA-256 digests, not %v", o.HashFunc())
	}
	err = use(func(t transport.TPM, p *tpm2.CreatePrimaryResponse) error {
		public, err := publicOf(p)
		if err != nil {
			return err
		}
		if !public.Equal(k.public) {
			return errors.New("the TPM was cleared or is another one: this machine has another key now; remove its identity, and have it approved again")
		}
		r, err := tpm2.Sign{KeyHandle: tpm2.NamedHandle{Handle: p.ObjectHandle, Name: p.Name}, Digest: tpm2.TPM2BDigest{Buffer: digest},
			Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck}}.Execute(t)
		if err != nil {
			return err
		}
		s, err := r.Signature.Signature.ECDSA()
		if err != nil {
			return err
		}
		signature, err = asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(s.SignatureR.Buffer), new(big.Int).SetBytes(s.SignatureS.Buffer)})
		return err
	})
	return signature, err
}

// template is of the key: for signing, made in the TPM, and never to leave it. Its
// unique part tells it from other programs' primary keys.
func template() tpm2.TPMTPublic {
	unique := sha256.Sum256([]byte("weir machine key"))
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true, SignEncrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: tpm2.TPMECCNistP256,
			Scheme: tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256})}}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{X: tpm2.TPM2BECCParameter{Buffer: unique[:]}, Y: tpm2.TPM2BECCParameter{Buffer: make([]byte, 32)}}),
	}
}

// use makes the key for as long as something is done with it.
func use(do func(transport.TPM, *tpm2.CreatePrimaryResponse) error) (err error) {
	using.Lock()
	defer using.Unlock()
	t, err := open()
	if err != nil {
		return fmt.Errorf("open the TPM: %w", err)
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	p, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(template())}.Execute(t)
	if err != nil {
		return fmt.Errorf("make the key in the TPM: %w", err)
	}
	defer func() {
		if _, e := (tpm2.FlushContext{FlushHandle: p.ObjectHandle}).Execute(t); e != nil {
			err = errors.Join(err, fmt.Errorf("make room in the TPM: %w", e))
		}
	}()
	if err := do(t, p); err != nil {
		return fmt.Errorf("the key in the TPM: %w", err)
	}
	return nil
}

func open() (transport.TPMCloser, error) {
	info, err := os.Stat(Device)
	if err != nil {
		return nil, err
	}
	if info.Mode()&os.ModeSocket != 0 {
		return linuxudstpm.Open(Device)
	}
	return linuxtpm.Open(Device)
}

func publicOf(p *tpm2.CreatePrimaryResponse) (*ecdsa.PublicKey, error) {
	all, err := p.OutPublic.Contents()
	if err != nil {
		return nil, err
	}
	point, err := all.Unique.ECC()
	if err != nil {
		return nil, err
	}
	if len(point.X.Buffer) > 32 || len(point.Y.Buffer) > 32 {
		return nil, errors.New("it is on another curve")
	}
	b := make([]byte, 65) // SEC 1, section 2.3.3: not compressed
	b[0] = 4
	new(big.Int).SetBytes(point.X.Buffer).FillBytes(b[1:33])
	new(big.Int).SetBytes(point.Y.Buffer).FillBytes(b[33:])
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), b)
}
