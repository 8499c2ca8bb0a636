package cmdline

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func TestTheLastOfEqualKeysCountsAndQuotesKeepSpaces(t *testing.T) {
	l := Parse("root=x quiet weir.slot=a dyndbg=\"file a +p\" weir.slot=b\n")
	if v, _ := l.Get("dyndbg"); v != "file a +p" {
		t.Errorf("dyndbg is %q", v)
	}
	if _, there := l.Get("quiet"); !there || l.Slot() != "b" {
		t.Errorf("quiet there %v, slot %q", there, l.Slot())
	}
	if s := Parse("weir.slot=../../x").Slot(); s != "" {
		t.Errorf("an unknown slot is taken: %q", s)
	}
}

func TestTheLineIsShownWithoutPasswords(t *testing.T) {
	got := Parse(`quiet weir.config=https://lb:secret@10.0.0.1/node.yaml "a b"=c`).String()
	if want := `quiet weir.config=https://lb:xxxxx@10.0.0.1/node.yaml "a b=c"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTheSourceOfTheConfiguration(t *testing.T) {
	for text, want := range map[string]Source{
		"":                              {Kind: Anywhere},
		"weir.config=disk":              {Kind: Disk},
		"weir.config=builtin":           {Kind: BuiltIn},
		"weir.config=file:/a/b.yaml":    {File, "/a/b.yaml"},
		"weir.config=http://10.0.0.1/x": {URL, "http://10.0.0.1/x"},
	} {
		if got, err := Parse(text).Source(); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"weir.config=file:a", "weir.config=file:/../a", "weir.config=ftp://h/x", "weir.config=http:///x", "weir.config=dsik"} {
		if got, err := Parse(text).Source(); err == nil {
			t.Errorf("%s: taken as %v", text, got)
		}
	}
}

func TestTheNetworkBeforeThereIsAConfiguration(t *testing.T) {
	addr := netip.MustParseAddr
	for text, want := range map[string]Network{
		"":                                    {},
		"ip=dhcp":                             {},
		"ip=:::::eth1:dhcp":                   {Device: "eth1"},
		"BOOTIF=01-52-54-00-12-AB-56 ip=dhcp": {MAC: "52:54:00:12:ab:56"},
		"ip=10.30.0.11::10.30.0.1:255.255.255.0::eth0:off:10.30.0.53:": {
			Address: netip.MustParsePrefix("10.30.0.11/24"), Gateway: addr("10.30.0.1"), DNS: []netip.Addr{addr("10.30.0.53")}, Device: "eth0"},
		"ip=10.30.0.11:::255.255.0.0": {Address: netip.MustParsePrefix("10.30.0.11/16")},
	} {
		if got, err := Parse(text).Network(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"ip=10.0.0.1", "ip=10.0.0.1:::255.0.255.0", "ip=10.0.0.300:::255.0.0.0", "ip=::1", "ip=10.0.0.1::x:255.0.0.0",
		"ip=::::::off", "BOOTIF=52-54-00-12-34-56", "BOOTIF=01-52:54", "ip=10.0.0.1:::0.0.0.0"} {
		if got, err := Parse(text).Network(); err == nil {
			t.Errorf("%s: taken as %+v", text, got)
		}
	}
}

func FuzzAnyTextIsACommandLine(f *testing.F) {
	f.Add("console=ttyS0 weir.config=http://a:b@h/x ip=1.2.3.4:::255.0.0.0 \"q")
	f.Add("BOOTIF=01-52-54-00-12-34-56 ip=dhcp = ==")
	f.Fuzz(func(t *testing.T, text string) {
		l := Parse(text)
		l.Source()
		l.Network()
		l.Slot()
		if again := Parse(l.String()).String(); again != l.String() {
			t.Errorf("%q is shown as %q, which is shown as %q", text, l.String(), again)
		}
	})
}

func TestWhereAMachineEnrols(t *testing.T) {
	ca := strings.Repeat("ab", 32)
	for line, want := range map[string]struct {
		Enrolment
		err string
	}{
		"quiet": {},
		"weir.enrol=10.40.0.1:6093 weir.enrol_ca=" + ca: {Enrolment{"10.40.0.1:6093", ca}, ""},
		"weir.enrol=10.40.0.1 weir.enrol_ca=" + ca:      {err: "not a host and a port"},
		"weir.enrol=10.40.0.1:6093":                     {err: "not the SHA-256"},
		"weir.enrol_ca=" + ca:                           {err: "not a host and a port"},
	} {
		e, err := Parse(line).Enrolment()
		if e != want.Enrolment || (err == nil) != (want.err == "") || err != nil && !strings.Contains(err.Error(), want.err) {
			t.Errorf("%s: %+v, %v", line, e, err)
		}
	}
}
