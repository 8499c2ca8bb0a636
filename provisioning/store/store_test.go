package store

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/provisioning/netboot"
)

func TestLeasesAreKeptUntilTheyEnd(t *testing.T) {
	dir := t.TempDir()
	open := func() *Store {
		t.Helper()
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	now := time.Now().Truncate(time.Second)
	lease := func(n byte, ends time.Time) netboot.Lease {
		return netboot.Lease{MAC: [6]byte{0x52, 0x54, 0, 0, 0, n}, Address: netip.AddrFrom4([4]byte{10, 40, 0, n}), Ends: ends}
	}
	if err := s.PutLeases([]netboot.Lease{lease(1, now.Add(time.Hour)), lease(2, now.Add(time.Minute)), lease(3, now.Add(time.Hour))}); err != nil {
		t.Fatal(err)
	}
	if err := s.PutLeases([]netboot.Lease{lease(3, time.Time{})}); err != nil { // declined
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	got, err := s.Leases(now.Add(2 * time.Minute))
	if err != nil || len(got) != 1 || got[0].MAC[5] != 1 || !got[0].Ends.Equal(now.Add(time.Hour)) || got[0].Address.String() != "10.40.0.1" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := s.Leases(now); err != nil || len(got) != 1 {
		t.Errorf("what has ended is there still: %+v, %v", got, err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "in use by another provisiond") {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedDatabaseIsAnErrorThatNamesTheRemedy(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte(strings.Repeat("no database", 2000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "restore a backup") {
		t.Errorf("%v", err)
	}
}
