package main

import (
	"encoding/json"
	"strings"
	"testing"

	"weir/provisioning/enrolclient"
	"weir/provisioning/rig"
)

func TestAnOperatorApprovesAndRevokesMachines(t *testing.T) {
	r := rig.New(t)
	r.Serve()
	f := r.Operator()
	ctl := func(args ...string) (string, int) {
		var out strings.Builder
		code := execute(append(args, "--provision", r.Address, "--ca", f.CA, "--cert", f.Cert, "--key", f.Key), &out, &out)
		if strings.Join(args, " ") == "machine list" { // a table
			return strings.Join(strings.Fields(out.String()), " "), code
		}
		return out.String(), code
	}
	if out, code := ctl("machine", "list"); code != 0 || !strings.Contains(out, "expected node lb1") || !strings.Contains(out, "expected server srv1") {
		t.Errorf("%d\n%s", code, out)
	}
	s := r.Stranger("52:54:00:00:00:01")
	if _, err := s.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	fingerprint, err := enrolclient.Fingerprint(s.Key)
	if err != nil {
		t.Fatal(err)
	}
	if out, code := ctl("machine", "list"); code != 0 || !strings.Contains(out, "pending (node lb1) "+fingerprint[:16]) {
		t.Errorf("%d\n%s", code, out)
	}
	for want, args := range map[string][]string{
		"no machine is called":  {"approve", "ffffffff"},
		"is not in provisiond.": {"approve", fingerprint[:8], "--as", "server/lb1"},
	} {
		if out, code := ctl(append([]string{"machine"}, args...)...); code != exitNotFound || !strings.Contains(out, want) {
			t.Errorf("%v: %d, %s", args, code, out)
		}
	}
	if out, code := ctl("machine", "approve", fingerprint[:8]); code != 0 || out != fingerprint[:16]+" is node lb1\n" {
		t.Errorf("%d, %s", code, out)
	}
	out, code := ctl("machine", "list", "-o", "json")
	var rows []machineRow
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != 0 || len(rows) != 1 || rows[0].State != "approved" || rows[0].ID != "node lb1" || rows[0].Expires == nil || rows[0].Fingerprint != fingerprint {
		t.Errorf("%d, %v, %s", code, err, out)
	}
	if out, code := ctl("machine", "revoke", "lb1"); code != 0 || out != fingerprint[:16]+" is revoked\n" {
		t.Errorf("%d, %s", code, out)
	}
	if out, _ := ctl("machine", "list"); !strings.Contains(out, "revoked node lb1") {
		t.Errorf("%s", out)
	}
	f.Cert, f.Key = strings.Replace(f.Cert, "operator-me", "provisiond-main", 1), strings.Replace(f.Key, "operator-me", "provisiond-main", 1)
	if out, code := ctl("machine", "list"); code != exitFailed || !strings.Contains(out, "does not answer") {
		t.Errorf("another role: %d, %s", code, out)
	}
	var help strings.Builder
	if code := execute([]string{"machine", "list"}, &help, &help); code != exitUsage || !strings.Contains(help.String(), "--provision") {
		t.Errorf("%d, %s", code, help.String())
	}
}
