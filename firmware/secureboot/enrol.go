package secureboot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

// GUIDs as they lie in memory.
var (
	// globalVariable is the namespace of PK and KEK: 8be4df61-93ca-11d2-aa0d-00e098032b8c.
	globalVariable = [16]byte{0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c}
	// imageSecurity is that of db: d719b2cb-3d3a-4596-a3bc-dad00e67656f.
	imageSecurity = [16]byte{0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f}
	// certX509 is the type of a list of certificates: a5c059a1-94e4-4aa7-87b5-ab155c2bf072.
	certX509 = [16]byte{0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72}
	// authenticated begins a store of variables: aaf32c78-947b-439a-a180-2e144ec37792.
	authenticated = [16]byte{0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92}
	// owner is who the certificates are said to be of: Weir, 8b8bd7e1-1d8a-8c59-9d3a-5d0a7c2e9b64.
	owner = [16]byte{0xe1, 0xd7, 0x8b, 0x8b, 0x8a, 0x1d, 0x59, 0x8c, 0x9d, 0x3a, 0x5d, 0x0a, 0x7c, 0x2e, 0x9b, 0x64}
)

// Enrol puts the certificates into an empty store of variables of OVMF, such as
// Debian's OVMF_VARS_4M.fd. A firmware that finds a platform key has Secure Boot on.
func (k Keys) Enrol(empty []byte) ([]byte, error) {
	store := bytes.Clone(empty)
	at, end, err := variables(store)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		certificate, err := k.Certificate(name)
		if err != nil {
			return nil, err
		}
		vendor := globalVariable
		if name == Database {
			vendor = imageSecurity
		}
		v := variable(name, vendor, list(certificate))
		if at+len(v) > end {
			return nil, fmt.Errorf("the store of variables has no room for %s", name)
		}
		at += copy(store[at:], v)
	}
	return store, nil
}

// variables finds the place for variables in a firmware volume (PI 1.8, volume 3,
// 3.2.1) whose contents are an edk2 variable store without any.
func variables(volume []byte) (start, end int, err error) {
	const volumeHeaderLength, storeHeader, formatted, healthy = 48, 28, 0x5a, 0xfe
	if len(volume) < volumeHeaderLength+2 {
		return 0, 0, errors.New("not a firmware volume")
	}
	store := int(binary.LittleEndian.Uint16(volume[volumeHeaderLength:]))
	if len(volume) < store+storeHeader+60 || !bytes.Equal(volume[store:store+16], authenticated[:]) {
		return 0, 0, errors.New("not a store of authenticated variables")
	}
	size := int(binary.LittleEndian.Uint32(volume[store+16:]))
	if volume[store+20] != formatted || volume[store+21] != healthy || size < storeHeader || size > len(volume)-store {
		return 0, 0, errors.New("the store of variables is damaged")
	}
	start, end = store+storeHeader, store+size
	if volume[start] != 0xff || volume[start+1] != 0xff {
		return 0, 0, errors.New("the store of variables is not empty")
	}
	return start, end, nil
}

// list is an EFI_SIGNATURE_LIST of one certificate (UEFI 2.10, 32.4.1).
func list(certificate []byte) []byte {
	const header = 28
	signature := uint32(len(owner) + len(certificate))
	b := append([]byte(nil), certX509[:]...)
	b = binary.LittleEndian.AppendUint32(b, header+signature)
	b = binary.LittleEndian.AppendUint32(b, 0) // no further header
	b = binary.LittleEndian.AppendUint32(b, signature)
	return append(append(b, owner[:]...), certificate...)
}

// variable is an AUTHENTICATED_VARIABLE_HEADER of edk2 with name and data.
func variable(name string, vendor [16]byte, data []byte) []byte {
	const (
		startID = 0x55aa
		added   = 0x3f
		// Kept, for boot services and the system, changed only by whoever signs
		// with a key above it.
		attributes = 0x01 | 0x02 | 0x04 | 0x20
	)
	var text []byte
	for _, c := range utf16.Encode([]rune(name + "\x00")) {
		text = binary.LittleEndian.AppendUint16(text, c)
	}
	b := binary.LittleEndian.AppendUint16(nil, startID)
	b = append(b, added, 0)
	b = binary.LittleEndian.AppendUint32(b, attributes)
	b = append(b, make([]byte, 8)...) // monotonic count
	b = append(b, 0xea, 0x07, 1, 1)   // EFI_TIME: 2026-01-01, 12 bytes of zeros behind it
	b = append(b, make([]byte, 12)...)
	b = binary.LittleEndian.AppendUint32(b, 0) // index of a public key
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = append(append(append(b, vendor[:]...), text...), data...)
	for len(b)%4 != 0 {
		b = append(b, 0xff)
	}
	return b
}
