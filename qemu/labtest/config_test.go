package labtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// changed writes the cluster file of the service, with one thing replaced.
func changed(t *testing.T, old, new string) (file string) {
	t.Helper()
	text, err := weirctl("get")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%q is not in the cluster file:\n%s", old, text)
	}
	file = filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// everybodyCurrent checks that all machines have the newest revision in force.
func everybodyCurrent() error {
	out, err := weirctl("registrations", "-o", "json")
	if err != nil {
		return err
	}
	var list []struct{ ID, State, Error string }
	if err := json.Unmarshal(out, &list); err != nil {
		return fmt.Errorf("understand %s: %w", out, err)
	}
	if want := len(theLab.Top.Nodes) + len(theLab.Top.Servers); len(list) < want {
		return fmt.Errorf("%d of %d machines have registered", len(list), want)
	}
	for _, m := range list {
		if m.State != "current" && m.State != "pending" { // pending: an earlier test removed it
			return fmt.Errorf("%s is %s: %s", m.ID, m.State, m.Error)
		}
	}
	return nil
}

func TestChangesUnderLoadLoseNothing(t *testing.T) {
	h := hold(t, 3*time.Second)
	apply := func(old, new string) func() error {
		return func() error {
			if err := theLab.Weirctl("apply", "-f", changed(t, old, new)); err != nil {
				return err
			}
			eventually(t, 10*time.Second, everybodyCurrent)
			return nil
		}
	}
	const (
		endpoints = "endpoints:"
		settings  = "handshake: {hold_packets: 48}\n" + endpoints
		extra     = endpoints + "\n  - {name: extra, addresses: [203.0.113.99], ports: 80}"
	)
	h.step("other settings", apply(endpoints, settings), h.Whole())
	h.step("another endpoint", apply(endpoints, extra), h.Whole())
	h.step("and without it", apply(extra, endpoints), h.Whole())
	h.step("as it was", apply(settings, endpoints), h.Whole())
}
