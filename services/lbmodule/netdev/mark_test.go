package netdev

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestAMarkSaysWhatIsToBeRemoved(t *testing.T) {
	want := Mark{Uplink: "eth0", PinDir: "/sys/fs/bpf/weir, pins of srv1"}
	if got, ok := parseMark(want.alias()); !ok || got != want {
		t.Errorf("%q reads as %+v, %v", want.alias(), got, ok)
	}
	for _, alias := range []string{"", "to the office", "weir lbmodule", "weir lbmodule, uplink eth0"} {
		if m, ok := parseMark(alias); ok {
			t.Errorf("%q reads as %+v", alias, m)
		}
	}
	if err := mark(&netlink.Veth{}, Mark{PinDir: strings.Repeat("x", 250)}); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a mark that the kernel would cut: %v", err)
	}
}
