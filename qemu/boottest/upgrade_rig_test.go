package boottest

import (
	"bytes"
	"debug/pe"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/u-root/u-root/pkg/cpio"

	"weir/firmware/bundle"
	"weir/firmware/release"
	"weir/firmware/repository"
	"weir/image/manifest"
	"weir/image/uki"
)

// variant is another version of the image, made of the parts of the one that was
// built: programs that say that they are of another version, and what makes it bad.
type variant struct {
	version string
	files   map[string]string // put in the place of files of its root
	words   string            // behind its kernel's command line
	hangs   bool              // its kernel, at its first instruction
	source  [3]string         // file of the source tree, and the text to replace in it before its programs are built
}

// programsOf are those that say which version runs.
var programsOf = map[string]string{"./init": "init", "./services/noded": "bin/noded", "./services/updated": "bin/updated"}

// make makes the image folder of the variant.
func (v variant) make(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	m, err := manifest.Read(filepath.Join(build, "image"))
	if err != nil {
		t.Fatal(err)
	}
	v.kernel(t, filepath.Join(dir, release.Kernel))
	v.initramfs(t, dir)
	u := uki.Image{Stub: "/usr/lib/systemd/boot/efi/linuxx64.efi.stub", Kernel: filepath.Join(dir, release.Kernel), Initramfs: filepath.Join(dir, release.Initramfs),
		OSRelease: "ID=weir\nVERSION_ID=" + v.version + "\n", CommandLine: strings.TrimSpace(m.CommandLine + " " + v.words), Uname: m.Kernel}
	if err := u.Write(dir, filepath.Join(dir, release.Unified)); err != nil {
		t.Fatal(err)
	}
	made := manifest.Manifest{Version: v.version, BuildTime: m.BuildTime, Kernel: m.Kernel, CommandLine: m.CommandLine, TrustedRoot: m.TrustedRoot}
	for _, name := range []string{release.Kernel, release.Initramfs, release.Unified} {
		o, err := manifest.Describe(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		made.Outputs = append(made.Outputs, o)
	}
	if err := made.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// kernel is that of the image, or one that hangs: its EFI entry jumps to itself.
func (v variant) kernel(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(image("vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	if v.hangs {
		f, err := pe.NewFile(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		entry := f.OptionalHeader.(*pe.OptionalHeader64).AddressOfEntryPoint
		for _, s := range f.Sections {
			if entry >= s.VirtualAddress && entry < s.VirtualAddress+s.Size {
				copy(text[entry-s.VirtualAddress+s.Offset:], "\xeb\xfe")
			}
		}
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// initramfs is that of the image with a second archive behind it.
func (v variant) initramfs(t *testing.T, dir string) {
	t.Helper()
	records := []cpio.Record{cpio.Directory("bin", 0o755)}
	for program, place := range programsOf {
		if _, other := v.files[place]; other {
			continue // the writer keeps the first of a name
		}
		text, err := os.ReadFile(v.program(t, program))
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, cpio.StaticFile(place, string(text), 0o755))
	}
	for name, text := range v.files {
		records = append(records, cpio.StaticFile(name, text, 0o755))
	}
	var archive bytes.Buffer
	w := cpio.Newc.Writer(&archive)
	if err := cpio.WriteRecords(w, records); err != nil {
		t.Fatal(err)
	}
	if err := cpio.WriteTrailer(w); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("zstd", "--quiet", "--stdout", "-1")
	c.Stdin = &archive
	packed, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(image("initramfs.cpio.zst"))
	if err != nil {
		t.Fatal(err)
	}
	pad := make([]byte, -len(first)&3)
	if err := os.WriteFile(filepath.Join(dir, release.Initramfs), bytes.Join([][]byte{first, pad, packed}, nil), 0o644); err != nil {
		t.Fatal(err)
	}
}

// program builds one of its programs.
func (v variant) program(t *testing.T, source string) string {
	t.Helper()
	root := filepath.Dir(build)
	out := filepath.Join(t.TempDir(), "program")
	args := []string{"build", "-trimpath", "-ldflags", "-s -w -X weir/services/version.Version=" + v.version, "-o", out}
	if file := v.source[0]; file != "" {
		args = append(args, "-overlay", v.overlay(t, root))
	}
	c := exec.Command("go", append(args, source)...)
	c.Dir, c.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build %s of version %s: %v: %s", source, v.version, err, text)
	}
	return out
}

// overlay is a file with which the go tool sees a changed source (go help build).
func (v variant) overlay(t *testing.T, root string) string {
	t.Helper()
	path := filepath.Join(root, v.source[0])
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), v.source[1]) != 1 {
		t.Fatalf("%s has no single place %q", path, v.source[1])
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(text), v.source[1], v.source[2], 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return list
}

// published is a repository of updates, signed by the keys that the image trusts.
type published struct {
	t    *testing.T
	keys repository.Development
	repo repository.Repository
	url  string // as the node reaches it
}

// publish begins a repository, and serves it to the node's control network.
func publish(t *testing.T) *published {
	t.Helper()
	p := &published{t: t, keys: repository.Development{Dir: filepath.Join(build, "keys")}, repo: repository.Repository{Dir: filepath.Join(t.TempDir(), "repository")}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: http.FileServer(http.Dir(p.repo.Dir))}
	go web.Serve(l)
	t.Cleanup(func() { web.Close() })
	p.url = fmt.Sprintf("http://10.30.0.2:%d", l.Addr().(*net.TCPAddr).Port)
	return p
}

// add publishes a variant.
func (p *published) add(v variant) {
	p.t.Helper()
	if _, err := p.keys.Release(&p.repo, v.make(p.t), "", time.Now()); err != nil {
		p.t.Fatalf("%v; these tests need an image that takes updates signed by the development keys: make image without TRUST", err)
	}
}

// bundle is the bundle of a version.
func (p *published) bundle(version string) string {
	p.t.Helper()
	b, err := bundle.Make(p.t.Context(), p.repo.Dir, version, p.t.TempDir(), time.Now(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return b.Path
}

// builtVersion is that of the image.
func builtVersion(t *testing.T) string {
	t.Helper()
	m, err := manifest.Read(filepath.Join(build, "image"))
	if err != nil {
		t.Fatal(err)
	}
	return m.Version
}

// upgradable is a node on the image's disk that takes updates, with a gate that
// decides after so long.
func upgradable(t *testing.T, r *frr, p *published, deadline time.Duration, more map[string]string) *node {
	t.Helper()
	c := good(t, r.port)
	c.node += fmt.Sprintf("updates:\n  repository: %s\n  gate: {hold: 5s, deadline: %v}\n", p.url, deadline)
	files := c.files()
	for name, text := range more {
		files[name] = text
	}
	m := machine(t, diskImage(t, files))
	m.Boot.Kernel, m.Boot.Initrd, m.Boot.Cmdline, m.Boot.Disk = "", "", "", true
	n := switchOn(t, m)
	n.servesLate(r)
	n.eventuallySays("upgrades", "version "+builtVersion(t)+" runs", patience)
	return n
}

// servesLate is serves, of a machine that starts through OVMF.
func (n *node) servesLate(r *frr) {
	n.t.Helper()
	if err := r.awaitRoute(uefiPatience); err != nil {
		n.t.Fatalf("%v; the console says:\n%s", err, n.ask("status"))
	}
	n.serves(r)
}

// confirm runs a command that asks whether it is meant.
func (n *node) confirm(line, answer string) {
	n.t.Helper()
	n.login()
	if err := n.Send(line + "\r"); err != nil {
		n.t.Fatal(err)
	}
	for _, step := range []struct{ see, say string }{{"Type yes: ", "yes\r"}, {answer, ""}} {
		if err := n.Expect(5*time.Minute, step.see); err != nil {
			n.t.Fatal(err)
		}
		if err := n.Send(step.say); err != nil {
			n.t.Fatal(err)
		}
	}
}

// hold stops the router in its tracks until release is called.
func (r *frr) hold() (release func()) {
	r.t.Helper()
	signal := func(s syscall.Signal) {
		var pid int
		text, err := os.ReadFile(filepath.Join(r.dir, "bgpd.pid"))
		if err == nil {
			_, err = fmt.Sscan(string(text), &pid)
		}
		if err == nil {
			err = syscall.Kill(pid, s)
		}
		if err != nil {
			r.t.Error(err)
		}
	}
	signal(syscall.SIGSTOP)
	return func() { signal(syscall.SIGCONT) }
}
