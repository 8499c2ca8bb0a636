package mounts

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"weir/init/phase"
)

// machine is a folder as root, and the list of what was mounted; refuse names a
// type that its kernel does not have.
func machine(t *testing.T, refuse string) (System, *[]string) {
	t.Helper()
	var mounted []string
	return System{Root: t.TempDir(), Mount: func(_, target, fstype string, _ uintptr, _ string) error {
		if fstype == refuse {
			return unix.ENODEV
		}
		mounted = append(mounted, fstype)
		if _, err := os.Stat(target); err != nil {
			return errors.New("no mount point")
		}
		return nil
	}}, &mounted
}

func TestAMountWhosePlaceTheKernelDoesNotOfferIsLeftOut(t *testing.T) {
	s, mounted := machine(t, "")
	os.MkdirAll(filepath.Join(s.Root, "/sys/kernel/mm/hugepages/hugepages-2048kB"), 0o755)
	if o := s.Do(Early); o.Result != phase.OK {
		t.Fatal(o)
	}
	if !slices.Contains(*mounted, "hugetlbfs") || slices.Contains(*mounted, "pstore") {
		t.Errorf("mounted %v", *mounted)
	}
	if to, err := os.Readlink(filepath.Join(s.Root, "/var/run")); err != nil || to != "/run" {
		t.Errorf("/var/run leads to %q (%v)", to, err)
	}
}

func TestWithoutANeededMountThePhaseFailsAndWithoutAnotherItIsDegraded(t *testing.T) {
	for fstype, want := range map[string]phase.Result{"proc": phase.Failed, "cgroup2": phase.Degraded} {
		s, _ := machine(t, fstype)
		if o := s.Do(Early); o.Result != want || !strings.Contains(o.Reason, fstype) {
			t.Errorf("without %s: %+v", fstype, o)
		}
	}
}

func TestTheRootFolderIsNotWritableForOthersAfterwards(t *testing.T) {
	s, _ := machine(t, "")
	os.Chmod(s.Root, 0o777)
	s.Do(nil)
	if i, err := os.Stat(s.Root); err != nil || i.Mode().Perm() != 0o755 {
		t.Errorf("%v %v", i.Mode(), err)
	}
}
