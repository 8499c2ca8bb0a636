package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/firmware/rig"
)

func TestOnlyARootThatItsOwnKeysHaveSignedGoesIntoAnImage(t *testing.T) {
	good := rig.New(t).Root()
	path := filepath.Join(t.TempDir(), "root.json")
	if _, err := readTrust(path); err == nil || !strings.Contains(err.Error(), "TRUST=FILE") {
		t.Errorf("none: %v", err)
	}
	for text, ok := range map[string]bool{
		string(good): true,
		strings.Replace(string(good), `"threshold": 2`, `"threshold": 1`, 1): false,
		`{"signed":{"_type":"root"},"signatures":[]}`:                        false,
		"": false,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := readTrust(path); (err == nil) != ok || ok && string(got) != text {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}
