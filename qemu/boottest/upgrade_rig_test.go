package boottest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"weir/firmware/bundle"
	"weir/firmware/repository"
	"weir/image/manifest"
	"weir/qemu/variant"
)

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
func (p *published) add(v variant.Variant) {
	p.t.Helper()
	dir := p.t.TempDir()
	if err := v.Make(p.t.Context(), build, dir); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.keys.Release(&p.repo, dir, "", time.Now()); err != nil {
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
// decides after so long, and more files on its state partition.
func upgradable(t *testing.T, r *frr, p *published, deadline time.Duration, more map[string]string) *node {
	t.Helper()
	return p.node(r, fmt.Sprintf("  gate: {hold: 5s, deadline: %v}\n", deadline), more)
}

// node is one with more in the section updates of its configuration.
func (p *published) node(r *frr, updates string, more map[string]string) *node {
	t := p.t
	t.Helper()
	c := good(t, r.port)
	c.node += "updates:\n  repository: " + p.url + "\n" + updates
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
