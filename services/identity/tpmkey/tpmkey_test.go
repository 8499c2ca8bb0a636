package tpmkey_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"weir/services/identity/tpmkey"
	"weir/services/identity/tpmkey/tpmtest"
)

func open1(t *testing.T) *tpmkey.Key {
	t.Helper()
	k, err := tpmkey.Open()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestTheKeyIsTheSameAtEachBootAndSignsWithoutLeavingTheTPM(t *testing.T) {
	state := t.TempDir()
	var first *tpmkey.Key
	t.Run("first boot", func(t *testing.T) {
		tpmtest.Start(t, state)
		first = open1(t)
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, first)
		if err != nil {
			t.Fatal(err)
		}
		csr, err := x509.ParseCertificateRequest(der)
		if err != nil || csr.CheckSignature() != nil {
			t.Errorf("%v", err)
		}
		sum := sha512.Sum512([]byte("x"))
		if _, err := first.Sign(rand.Reader, sum[:], crypto.SHA512); err == nil {
			t.Error("a digest is signed that is none of its")
		}
	})
	t.Run("second boot", func(t *testing.T) {
		tpmtest.Start(t, state)
		text, err := first.Encode()
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		if block == nil || block.Type != tpmkey.PEMType || strings.Contains(string(text), "PRIVATE") {
			t.Fatalf("%s", text)
		}
		k, err := tpmkey.Parse(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if !open1(t).Public().(*ecdsa.PublicKey).Equal(k.Public()) {
			t.Error("it is another key")
		}
		sum := sha256.Sum256([]byte("x"))
		if _, err := k.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
			t.Error(err)
		}
	})
	t.Run("another TPM", func(t *testing.T) {
		tpmtest.Start(t, t.TempDir())
		sum := sha256.Sum256([]byte("x"))
		if _, err := first.Sign(rand.Reader, sum[:], crypto.SHA256); err == nil || !strings.Contains(err.Error(), "was cleared or is another one") {
			t.Errorf("%v", err)
		}
	})
	if tpmkey.Present() {
		return // this machine has one
	}
	if _, err := tpmkey.Open(); err == nil {
		t.Error("there is a key without a TPM")
	}
}
