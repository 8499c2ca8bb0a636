package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir/firmware/release"
	"weir/firmware/rig"
	"weir/firmware/trust"
	"weir/image/manifest"
	"weir/qemu/manual"
)

// tree is a folder that looks like the source tree to the commands of the manual.
type tree struct {
	t   *testing.T
	dir string
}

func newTree(t *testing.T) *tree {
	t.Helper()
	w := &tree{t, t.TempDir()}
	if out, err := exec.Command("go", "build", "-o", w.path("build/bin")+"/", ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	w.write("VERSION", "1.2.3\n")
	return w
}

func (w *tree) path(name string) string { return filepath.Join(w.dir, name) }

func (w *tree) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// image puts a small image into build/image, which trusts a root.
func (w *tree) image(root string) {
	w.t.Helper()
	text, err := os.ReadFile(w.path(root))
	if err != nil {
		w.t.Fatal(err)
	}
	dir := rig.Image(w.t, "1.2.3", "")
	m, err := manifest.Read(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	m.TrustedRoot = fmt.Sprintf("%x", sha256.Sum256(text))
	if err := m.Write(dir); err != nil {
		w.t.Fatal(err)
	}
	if err := os.RemoveAll(w.path("build/image")); err != nil {
		w.t.Fatal(err)
	}
	if err := os.CopyFS(w.path("build/image"), os.DirFS(dir)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *tree) run(command string) string {
	w.t.Helper()
	c := exec.Command("bash", "-c", command)
	c.Dir = w.dir
	out, err := c.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

var trustOption = regexp.MustCompile(`TRUST=(\S+)`)

// make does what the targets of the manual do, with a small image.
func (w *tree) make(command string) {
	w.t.Helper()
	switch trust := trustOption.FindStringSubmatch(command); {
	case command == "make bundle":
		w.run("build/bin/weir-bundle keys")
		w.image("build/keys/root.json")
		w.run("build/bin/weir-bundle release")
	case trust != nil:
		w.image(trust[1])
	case !strings.Contains(command, "make image SIGN="):
		w.t.Fatalf("the manual has a target that this test does not know: %s", command)
	}
}

// The ceremony of the manual, command by command: at its end a node that knows the
// first root only takes the release, and the repository has gone through four roots.
func TestTheCeremonyOfTheManualWorks(t *testing.T) {
	commands, err := manual.Commands("../../docs/releases.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(commands) < 40 {
		t.Fatalf("the page has changed: %q", commands)
	}
	w := newTree(t)
	for _, command := range commands {
		if strings.HasPrefix(command, "make ") {
			w.make(command)
		} else {
			w.run(command)
		}
	}
	root, err := os.ReadFile(w.path("release/repository/metadata/1.root.json"))
	if err != nil {
		t.Fatal(err)
	}
	src, err := trust.OpenFolder(w.path("release/repository"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	c, err := trust.Verifier{Root: root, Now: time.Now()}.Refresh(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Select(src, "1.2.3", release.Compatible); err != nil || c.Root != 4 || c.Targets != 2 || c.Floor != "1.2.3" {
		t.Errorf("got %+v, %v", c, err)
	}
	secrets, err := filepath.Glob(w.path("*/*/*.key"))
	if err != nil || len(secrets) < 8 {
		t.Errorf("keys: %v, %v", secrets, err)
	}
	for _, path := range secrets {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestTheStatusOfTheManualIsForProgramsToo(t *testing.T) {
	w := newTree(t)
	w.make("make bundle")
	var list []struct {
		Role   string
		Wanted []struct{ Signed, Missing []string }
	}
	if err := json.Unmarshal([]byte(w.run("build/bin/weir-bundle status -o json")), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[1].Role != "targets" || len(list[1].Wanted) != 1 || len(list[1].Wanted[0].Signed) != 2 || len(list[1].Wanted[0].Missing) != 1 {
		t.Errorf("got %+v", list)
	}
}
