package deb

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pack makes a package of a small program; all that matters is that it is Go's.
func pack(t *testing.T, version string) string {
	t.Helper()
	path, err := Build(Release{Version: version, Time: time.Unix(1_795_000_000, 0).UTC(), Program: program(t)}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// program is this test itself: any Go program with modules will do.
func program(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	return string(out)
}

func TestTheSameReleaseMakesTheSameBytes(t *testing.T) {
	first := pack(t, "1.2.3")
	second := pack(t, "1.2.3")
	a, errA := os.ReadFile(first)
	b, errB := os.ReadFile(second)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("%v, %v, equal: %v", errA, errB, bytes.Equal(a, b))
	}
	if name := filepath.Base(first); name != "weir-lbmodule_1.2.3_amd64.deb" {
		t.Errorf("it is called %s", name)
	}
}

func TestThePackageHoldsWhatAServerNeeds(t *testing.T) {
	path := pack(t, "1.2.3-rc1")
	list := output(t, "dpkg-deb", "--contents", path)
	for _, want := range []string{
		"-rwxr-xr-x root/root ", " ./usr/sbin/lbmodule\n", " ./lib/systemd/system/weir-lbmodule.service\n", " ./usr/share/man/man8/lbmodule.8.gz\n",
		" ./usr/share/doc/weir-lbmodule/third-party-licenses.gz\n", "drwx------ root/root         0 2026-11-18 11:06 ./var/lib/weir/lbmodule/identity/\n",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
	dir := t.TempDir()
	output(t, "dpkg-deb", "--raw-extract", path, dir)
	for name, want := range map[string]string{
		"DEBIAN/conffiles":       "/etc/weir/lbmodule.yaml\n",
		"DEBIAN/control":         "\nVersion: 1.2.3~rc1\n",
		"DEBIAN/md5sums":         "  usr/sbin/lbmodule\n",
		"etc/weir/lbmodule.yaml": "#server: srv1\n",
	} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: %v, %q", name, err, b)
		}
	}
	output(t, "sh", "-c", "cd "+dir+" && md5sum --quiet -c DEBIAN/md5sums")
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		output(t, "sh", "-n", filepath.Join(dir, "DEBIAN", script))
	}
}

func TestDebianOrdersVersionsAsWeDo(t *testing.T) {
	for version, want := range map[string]string{"0.1.0": "0.1.0", "1.0.0-rc.1": "1.0.0~rc.1", "1.0.0-a-b": "1.0.0~a.b", "1.0.0+7": "1.0.0+7"} {
		if got, err := DebianVersion(version); err != nil || got != want {
			t.Errorf("%s: %s, %v", version, got, err)
		}
	}
	output(t, "dpkg", "--compare-versions", "1.0.0~rc1", "lt", "1.0.0")
	for _, bad := range []string{"", "1.0", "v1.0.0", "1.0.0 ", "1.0.0;x", "../1.0.0"} {
		if got, err := DebianVersion(bad); err == nil {
			t.Errorf("%q was taken as %s", bad, got)
		}
	}
}
