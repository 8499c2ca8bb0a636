package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// developmentRoot is that of the keys which weir-bundle makes on first use.
const developmentRoot = "build/keys/root.json"

// readTrust reads the root whose keys the image will take updates from. It has to
// be one that its own keys have signed: a node would refuse every update with it.
func readTrust(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("trusted root of updates: %w: make development keys with weir-bundle keys, or name another with TRUST=FILE", err)
	}
	if err != nil {
		return nil, fmt.Errorf("trusted root of updates: %w", err)
	}
	root, err := new(metadata.Metadata[metadata.RootType]).FromBytes(text)
	if err == nil {
		err = root.VerifyDelegate(metadata.ROOT, root)
	}
	if err != nil {
		return nil, fmt.Errorf("trusted root of updates %s: %w", path, err)
	}
	return text, nil
}
