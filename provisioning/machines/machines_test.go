package machines_test

import (
	"crypto"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/provisioning/enrolclient"
	"weir/provisioning/machines"
	"weir/provisioning/rig"
	"weir/services/config"
)

var (
	now  = time.Now()
	here = netip.MustParseAddr("10.40.0.9")
)

// key is a new machine's.
func key(t testing.TB, r *rig.Rig) machines.Key {
	t.Helper()
	fingerprint, err := enrolclient.Fingerprint(r.Stranger().Key)
	if err != nil {
		t.Fatal(err)
	}
	return machines.Key{Fingerprint: fingerprint}
}

func request(t testing.TB, k crypto.Signer) []byte {
	t.Helper()
	der, err := enrolclient.Request(k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// enrolled is a machine that waits.
func enrolled(t testing.TB, r *rig.Rig, h machines.Hardware) machines.Record {
	t.Helper()
	s := r.Stranger()
	k, err := machines.ParseCSR(request(t, s.Key))
	if err != nil {
		t.Fatal(err)
	}
	rec, err := r.Registry.Enrol(k, h, here, rig.Version, now)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func hardware(t testing.TB, mac, serial, uuid string) machines.Hardware {
	t.Helper()
	h, err := machines.NewHardware([]string{mac}, serial, uuid)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

const (
	mac1 = "52:54:00:00:00:01" // lb1's, in the file
	mac2 = "52:54:00:00:00:02"
	mac3 = "52:54:00:00:00:03"
	uuid = "4c4c4544-0033-3310-8051-b4c04f4b3132" // lb2's
)

func approve(t testing.TB, r *rig.Rig, rec machines.Record, role, id string) machines.View {
	t.Helper()
	v, err := r.Registry.Approve(rec.Fingerprint, role, id, now)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAMachineIsKnownByMACSerialOrUUID(t *testing.T) {
	r := rig.New(t)
	for want, h := range map[string]machines.Hardware{
		"node lb1":    hardware(t, mac1, "", ""),
		"node lb2":    hardware(t, mac2, "", strings.ToUpper(uuid)),
		"server srv1": hardware(t, mac3, " ABC123 ", ""),
	} {
		rec := enrolled(t, r, h)
		if v := approve(t, r, rec, "", ""); v.Role+" "+v.ID != want {
			t.Errorf("%s became %s %s", want, v.Role, v.ID)
		}
	}
	if _, free := r.Registry.List(now); len(free) != 0 {
		t.Errorf("%d entries are free", len(free))
	}
}

func TestApprovingIsRefusedWhereItWouldBeAMistake(t *testing.T) {
	r := rig.New(t)
	unknown := enrolled(t, r, hardware(t, mac3, "", ""))
	both := enrolled(t, r, hardware(t, mac1, "", uuid)) // lb1 and lb2 at once
	first := enrolled(t, r, hardware(t, mac1, "", ""))
	for name, c := range map[string]struct {
		selector, id string
		kind         error
	}{
		"nobody is called so":  {"ffffffff", "lb1", machines.ErrNotFound},
		"too few digits":       {first.Fingerprint[:7], "lb1", machines.ErrNotFound},
		"no such entry":        {first.Fingerprint, "lb9", machines.ErrNotFound},
		"no entry knows it":    {unknown.Fingerprint, "", machines.ErrNotAsItIs},
		"two entries know it":  {both.Fingerprint, "", machines.ErrNotAsItIs},
		"two have the address": {mac1, "lb1", machines.ErrNotAsItIs},
	} {
		if _, err := r.Registry.Approve(c.selector, "node", c.id, now); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	approve(t, r, first, "", "")
	approve(t, r, first, "", "") // again: nothing changes
	for name, c := range map[string][2]string{
		"the entry has a machine":  {unknown.Fingerprint, "lb1"},
		"its address is another's": {both.Fingerprint, "lb2"},
		"it is something already":  {first.Fingerprint, "lb2"},
	} {
		if _, err := r.Registry.Approve(c[0], "node", c[1], now); !errors.Is(err, machines.ErrNotAsItIs) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Revoked, it makes room; and an operator may change his mind.
	if _, err := r.Registry.Revoke("lb1", now); err != nil {
		t.Fatal(err)
	}
	approve(t, r, unknown, "node", "lb1")
	if v := approve(t, r, first, "node", "lb2"); v.Standing != machines.Approved {
		t.Errorf("%+v", v)
	}
}

func TestWhoWaitsIsBounded(t *testing.T) {
	r := rig.New(t)
	h := hardware(t, mac3, "", "")
	enrol := func(from netip.Addr, at time.Time) error {
		_, err := r.Registry.Enrol(key(t, r), h, from, "", at)
		return err
	}
	n := 0
	for ; enrol(here, now) == nil && n < 100; n++ {
	}
	if n != 16 {
		t.Errorf("one client has %d machines", n)
	}
	for a := netip.MustParseAddr("10.50.0.1"); n < 2000 && enrol(a, now) == nil; a = a.Next() {
		n++
	}
	if n != 1024 {
		t.Errorf("%d machines wait", n)
	}
	if err := enrol(here, now); !errors.Is(err, machines.ErrFull) {
		t.Errorf("%v", err)
	}
	if err := enrol(here, now.Add(time.Hour)); err != nil {
		t.Errorf("those who ask no more keep others out: %v", err)
	}
	if list, _ := r.Registry.List(now.Add(time.Hour)); len(list) != 1 {
		t.Errorf("%d are remembered", len(list))
	}
}

func TestACertificateThatRanOutIsMadeAnewForTheSameKey(t *testing.T) {
	r := rig.New(t)
	s := r.Stranger()
	k, err := machines.ParseCSR(request(t, s.Key))
	if err != nil {
		t.Fatal(err)
	}
	rec, err := r.Registry.Enrol(k, hardware(t, mac1, "", ""), here, "", now)
	if err != nil {
		t.Fatal(err)
	}
	v := approve(t, r, rec, "", "")
	if again, err := r.Registry.Enrol(k, machines.Hardware{}, here, "", now); err != nil || string(again.Certificate) != string(v.Certificate) {
		t.Errorf("%v: another certificate without need", err)
	}
	late := v.Expires.Add(time.Hour)
	if again, err := r.Registry.Enrol(k, machines.Hardware{}, here, "", late); err != nil || string(again.Certificate) == string(v.Certificate) || len(again.Hardware.MACs) != 1 {
		t.Errorf("%v, %+v", err, again)
	}
}

func TestANewVersionIsTriedOnceAndRememberedOverRestarts(t *testing.T) {
	r := rig.New(t)
	h := hardware(t, mac1, "", "")
	approve(t, r, enrolled(t, r, h), "", "")
	boot := func(want string) {
		t.Helper()
		b, err := r.Registry.Boot(h)
		if err != nil || b.Version != want || b.Name != "node lb1" {
			t.Fatalf("%+v, %v, want %s", b, err, want)
		}
		if err := r.Registry.Taken(b.Name, b.Version); err != nil {
			t.Fatal(err)
		}
	}
	report := func(version, failed, want string) {
		t.Helper()
		if committed, err := r.Registry.Booted("node lb1", version, failed, false); err != nil || committed != want {
			t.Fatalf("%s, %v, want %s", committed, err, want)
		}
	}
	wanted := func(version string) {
		t.Helper()
		r.Write("provisiond.yaml", strings.Replace(rig.File, "version: "+rig.Version, "version: "+version, 1))
		r.Open()
	}
	wanted(rig.OldVersion)
	boot(rig.OldVersion)
	report(rig.OldVersion, "", rig.OldVersion)
	wanted(rig.Version)
	boot(rig.Version)    // the trial
	r.Open()             // the service restarts
	boot(rig.OldVersion) // the machine comes back without a word: its trial is over
	boot(rig.OldVersion)
	list, _ := r.Registry.List(now)
	if b := list[0].Boot; b == nil || b.Trial != rig.Version || b.Failed == "" || b.Committed != rig.OldVersion {
		t.Errorf("%+v", b)
	}
	report(rig.Version, "", rig.OldVersion) // too late
	wanted(rig.OldVersion)
	boot(rig.OldVersion)
	wanted(rig.Version) // the operator wants it again
	boot(rig.Version)
	report(rig.Version, "", rig.Version)
	boot(rig.Version)
}

func TestStrangersAndServersBootNoConfiguration(t *testing.T) {
	r := rig.New(t)
	srv := hardware(t, mac3, "ABC123", "")
	approve(t, r, enrolled(t, r, srv), "", "")
	if b, err := r.Registry.Boot(srv); !errors.Is(err, machines.ErrNotAsItIs) {
		t.Errorf("a server boots %+v, %v", b, err)
	}
	lb2 := hardware(t, mac2, "", uuid)
	rec := enrolled(t, r, lb2)
	for name, h := range map[string]machines.Hardware{"unknown": hardware(t, "52:54:00:00:00:99", "", ""), "known, not approved": hardware(t, mac1, "", ""), "pending": lb2} {
		if b, err := r.Registry.Boot(h); err != nil || b != (machines.Boot{Version: rig.Version}) {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
	approve(t, r, rec, "", "")
	if b, err := r.Registry.Boot(lb2); err != nil || b.OwnDisk || b.Name != "node lb2" {
		t.Errorf("%+v, %v", b, err)
	}
	if _, err := r.Registry.Booted("node lb2", rig.Version, "", true); err != nil {
		t.Fatal(err)
	}
	if b, err := r.Registry.Boot(lb2); err != nil || !b.OwnDisk {
		t.Errorf("installed: %+v, %v", b, err)
	}
	// Another machine with its UUID, which anybody can claim.
	if b, err := r.Registry.Boot(hardware(t, mac3, "", uuid)); err == nil && b.Name != "" {
		t.Errorf("%+v, %v", b, err)
	}
	if _, err := r.Registry.Revoke("node lb2", now); err != nil {
		t.Fatal(err)
	}
	if b, err := r.Registry.Boot(lb2); err != nil || b.Name != "" {
		t.Errorf("revoked: %+v, %v", b, err)
	}
}

func TestMistakesInEntriesAreFoundBeforeAMachineAsks(t *testing.T) {
	r := rig.New(t)
	for want, c := range map[string][3]string{
		"machines[0].template: ":                {"provisiond.yaml", "template: node.yaml.tmpl", "template: none.tmpl"},
		"map has no entry for key \"gateway\"":  {"node.yaml.tmpl", "{{.address}}", "{{.gateway}}"},
		"node.yaml of lb1:":                     {"node.yaml.tmpl", "exception: weir-north", "exceptions: weir-north"},
		"its node.yaml is of node lb7":          {"node.yaml.tmpl", "{{.id}}", "lb7"},
		"machines[0].values: node.yaml of lb1:": {"provisiond.yaml", "value: 10.10.0.11", "value: ten"},
		"has no machine section":                {"node.yaml.tmpl", rig.Template[strings.Index(rig.Template, "machine:\n"):], ""},
		"more than 1048576 bytes":               {"node.yaml.tmpl", "{{.id}}", `{{range 5000}}{{range 5000}}x{{end}}{{end}}`},
	} {
		r.Write("provisiond.yaml", rig.File)
		r.Write("node.yaml.tmpl", rig.Template)
		before := map[string]string{"provisiond.yaml": rig.File, "node.yaml.tmpl": rig.Template}[c[0]]
		r.Write(c[0], strings.Replace(before, c[1], c[2], 1))
		file, err := config.LoadProvisiond(r.Dir + "/provisiond.yaml")
		if err == nil {
			_, err = machines.Entries(file)
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "provisiond.yaml:") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestAMachineCommitsNothingThatNobodyGives(t *testing.T) {
	r := rig.New(t)
	approve(t, r, enrolled(t, r, hardware(t, mac1, "", "")), "", "")
	for _, c := range []struct{ version, want string }{{"..", ""}, {"9.9.9", ""}, {rig.Version, rig.Version}} {
		if got, err := r.Registry.Booted("node lb1", c.version, "", false); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.version, got, err, c.want)
		}
	}
}
