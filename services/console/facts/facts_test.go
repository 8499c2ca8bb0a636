package facts

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWarningsAndErrorsAreFoundInLogs(t *testing.T) {
	for _, c := range []struct{ source, line, want string }{
		{"noded", `time=2026-11-23T14:48:06Z level=WARN msg="bgp session is down" router=10.10.0.1`, `"bgp session is down" router=10.10.0.1`},
		{"noded", `time=2026-11-23T14:48:06Z level=ERROR msg=broken`, "broken"},
		{"noded", `time=2026-11-23T14:48:06Z level=INFO msg="level of noise"`, ""},
		{"dataplane", "panic: runtime error: index out of range", "panic: runtime error: index out of range"},
		{"init", "dataplane ended: signal: killed; starts again in 1.0 s", "dataplane ended: signal: killed; starts again in 1.0 s"},
		{"dataplane", "it ended: well", ""},
		{"init", "noded is ready after 0.6 s", ""},
	} {
		got := ""
		if isError(c.source, c.line) {
			got = message(c.line)
		}
		if got != c.want {
			t.Errorf("%s: %s: %q, want %q", c.source, c.line, got, c.want)
		}
	}
}

func TestTheKernelIsAskedForLinksAndUptime(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"sys/class/net/lo/address": "00:00:00:00:00:00\n", "sys/class/net/eth0/address": "52:54:00:00:03:11\n", "sys/class/net/eth0/carrier": "1\n",
		"sys/class/net/eth0/statistics/rx_packets": "17\n", "sys/class/net/weir-north/address": "52:54:00:00:01:11\n", "proc/uptime": "12.50 3.00\n",
	} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := &Facts{Links: kernelLinks(root)}
	if l := f.Link("52:54:00:00:03:11"); len(f.Links) != 2 || l == nil || l.Name != "eth0" || !l.Up || l.RxPackets != 17 {
		t.Errorf("%+v", f.Links)
	}
	if l := f.Named("weir-north"); l == nil || l.Up {
		t.Errorf("%+v: an interface that is down has no carrier to read", l)
	}
	if f.Named("eth1") != nil || f.Link("") != nil {
		t.Error("found what is not there")
	}
	if got := kernelUptime(root); got != 12500*time.Millisecond || kernelUptime(t.TempDir()) != 0 {
		t.Errorf("up for %v", got)
	}
}
