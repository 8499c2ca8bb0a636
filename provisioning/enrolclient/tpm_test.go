package enrolclient_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/provisioning/enrolclient"
	"weir/services/identity/tpmkey/tpmtest"
)

func TestAMachineWithATPMKeepsItsIdentityWithoutADisk(t *testing.T) {
	tpmtest.Start(t, t.TempDir())
	r, m := served(t)
	joins(t, r, m)
	text, err := os.ReadFile(enrolclient.Files(m.Dir).Key)
	if err != nil || strings.Contains(string(text), "PRIVATE") {
		t.Errorf("%s, %v", text, err)
	}
	m.Dir = filepath.Join(t.TempDir(), "identity") // as at a boot that finds no disk
	if c, err := m.Configuration(t.Context(), unasked(t)); err != nil || !strings.Contains(c.NodeYaml, "node: lb1") {
		t.Errorf("%v, %v", c, err)
	}
}
