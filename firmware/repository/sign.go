package repository

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// maxStaged bounds the files that are signed and merged, in bytes.
const maxStaged = 1 << 20

// Sign adds one signature to a staged root or targets file, or replaces the one
// that the key made before. Nothing but the file and the key is needed, so it runs
// on a machine without network.
func Sign(path string, by *Signer) error {
	return edit(path, func(f *signable) error {
		return f.sign(by)
	})
}

// Merge adds the signatures of copies that were signed elsewhere. The copies have
// to say the same as the file.
func Merge(path string, copies ...string) error {
	return edit(path, func(f *signable) error {
		for _, from := range copies {
			other, err := readSignable(from)
			if err != nil {
				return err
			}
			if !bytes.Equal(f.payload, other.payload) {
				return fmt.Errorf("%s says something else than %s: sign copies of one file", from, path)
			}
			*f.signatures = append(*f.signatures, *other.signatures...)
		}
		unique(f.signatures)
		return nil
	})
}

// signable is a root or targets file, whichever.
type signable struct {
	role       string
	payload    []byte // canonical, what is signed
	signatures *[]metadata.Signature
	sign       func(*Signer) error
	write      func(path string) error
}

func edit(path string, change func(*signable) error) error {
	f, err := readSignable(path)
	if err != nil {
		return err
	}
	if err := change(f); err != nil {
		return err
	}
	return f.write(path)
}

func readSignable(path string) (*signable, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxStaged {
		return nil, fmt.Errorf("%s: has %d bytes; metadata has at most %d", path, info.Size(), maxStaged)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	role, err := roleOf(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var f *signable
	switch role {
	case metadata.ROOT:
		f, err = signableOf[metadata.RootType](text)
	case metadata.TARGETS:
		f, err = signableOf[metadata.TargetsType](text)
	default:
		err = fmt.Errorf("is metadata of the role %.40q; root and targets are signed by hand, the others by weir-bundle publish", role)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.role = role
	return f, nil
}

func roleOf(text []byte) (string, error) {
	var head struct {
		Signed struct {
			Type string `json:"_type"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return "", fmt.Errorf("not metadata: %w", err)
	}
	if head.Signed.Type == "" {
		return "", errors.New("not metadata: it has no _type")
	}
	return head.Signed.Type, nil
}

func signableOf[T metadata.Roles](text []byte) (*signable, error) {
	m, err := new(metadata.Metadata[T]).FromBytes(text)
	if err != nil {
		return nil, err
	}
	payload, err := cjson.EncodeCanonical(m.Signed)
	if err != nil {
		return nil, err
	}
	return &signable{
		payload:    payload,
		signatures: &m.Signatures,
		sign: func(by *Signer) error {
			_, err := m.Sign(by)
			unique(&m.Signatures)
			return err
		},
		write: func(path string) error { return write(path, m) },
	}, nil
}

// unique keeps the last signature of every key: the specification allows one.
func unique(list *[]metadata.Signature) {
	var out []metadata.Signature
	for i, s := range *list {
		if !slices.ContainsFunc((*list)[i+1:], func(later metadata.Signature) bool { return later.KeyID == s.KeyID }) {
			out = append(out, s)
		}
	}
	*list = out
}
