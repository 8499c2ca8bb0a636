package kernel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/init/phase"
	"weir/init/sysfs"
	"weir/services/config"
)

func TestTheConfigurationHasTheLastWordAndAnUnknownOptionIsTold(t *testing.T) {
	root := t.TempDir()
	for _, o := range Options {
		path := filepath.Join(root, "/proc/sys", strings.ReplaceAll(o.Key, ".", "/"))
		os.MkdirAll(filepath.Dir(path), 0o755)
		os.WriteFile(path, nil, 0o644)
	}
	if o := Set(root, nil); o.Result != phase.OK {
		t.Fatal(o)
	}
	os.MkdirAll(filepath.Join(root, "/proc/sys/net/ipv4/conf/eth0.5"), 0o755)
	os.WriteFile(filepath.Join(root, "/proc/sys/net/ipv4/conf/eth0.5/forwarding"), nil, 0o644)
	o := Set(root, []config.KernelOption{{Key: "kernel.panic", Value: "33"}, {Key: "net/ipv4/conf/eth0.5/forwarding", Value: "1"}, {Key: "net.core.nothing", Value: "1"}})
	if o.Result != phase.Degraded || o.Reason != "the kernel has no option net.core.nothing" {
		t.Error(o)
	}
	if got := sysfs.Text(filepath.Join(root, "/proc/sys/kernel/panic")); got != "33" {
		t.Errorf("kernel.panic is %q", got)
	}
	if got := sysfs.Text(filepath.Join(root, "/proc/sys/net/ipv4/conf/eth0.5/forwarding")); got != "1" {
		t.Errorf("the option of an interface with a dot is %q", got)
	}
}
