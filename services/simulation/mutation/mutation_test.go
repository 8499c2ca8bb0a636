package mutation

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutation replaces a passage of a file, wherever it stands there.
type mutation struct {
	name     string
	file     string // below the module
	old, new string
	by       detector
}

// detector is a test that has to fail.
type detector struct {
	pkg string // below services
	run string
}

const module = "../../.."

func TestBreakingARuleIsNoticed(t *testing.T) {
	if testing.Short() {
		mutations = mutations[:1]
	}
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			test := m.build(t)
			out, err := run(test, filepath.Join(module, "services", m.by.pkg), "-test.run", m.by.run, "-test.failfast", "-test.timeout", "5m")
			if err == nil || !bytes.Contains(out, []byte("--- FAIL")) && !bytes.Contains(out, []byte("panic:")) {
				t.Errorf("%s did not notice (%v):\n%s", m.by.run, err, tail(out))
			}
		})
	}
}

// build compiles the detector with the mutation in place.
func (m *mutation) build(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(module, m.file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), m.old) {
		t.Fatalf("%s does not have the passage to change: %q", m.file, m.old)
	}
	dir := t.TempDir()
	changed, overlay, test := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "test")
	plan, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{changed: []byte(strings.ReplaceAll(string(text), m.old, m.new)), overlay: plan} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := run("go", module, "test", "-c", "-vet=off", "-overlay", overlay, "-o", test, "./services/"+m.by.pkg); err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
	return test
}

func run(program, dir string, args ...string) ([]byte, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	return cmd.CombinedOutput()
}

// tail is the end of what a test wrote.
func tail(out []byte) []byte { return out[max(0, len(out)-2000):] }
