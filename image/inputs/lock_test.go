package inputs

import (
	"slices"
	"strings"
	"testing"
)

const sum = "a86e2049672f52354c4536a089203b6c82639420424d31c91cf31a181fd4d8f1"

func TestALockFileIsReadAsItIsWritten(t *testing.T) {
	list := []Input{{Name: "kernel-6.1", Version: "6.1.192-2", SHA256: sum}, {Name: "go", Version: "go1.26.8"}}
	lock, err := ParseLock(Format(list))
	if err != nil || !slices.Equal(lock, list) {
		t.Fatalf("got %v, %v", lock, err)
	}
	if in, found := lock.FindPrefix("kernel-"); !found || in != list[0] {
		t.Errorf("found %v", in)
	}
	if _, found := lock.FindPrefix("firmware-"); found {
		t.Error("found what is not there")
	}
}

func TestABadLineOfALockFileIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"a 1 -\nb 2\n":          "line 2: want name",
		"a 1 abc\n":             "line 1: a SHA-256 has 64 digits",
		"# x\n\na 1 -\na 2 -\n": "line 4: a a second time",
	} {
		if _, err := ParseLock([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestEveryDifferenceToTheLockFileIsTold(t *testing.T) {
	lock := Lock{{Name: "same", Version: "1"}, {Name: "newer", Version: "1"}, {Name: "forged", Version: "1", SHA256: sum}, {Name: "unused", Version: "1"}}
	got := lock.Differences([]Input{{Name: "same", Version: "1"}, {Name: "newer", Version: "2"}, {Name: "forged", Version: "1", SHA256: "b" + sum[1:]}, {Name: "added", Version: "1"}})
	want := []string{
		"newer is 2, the lock file expects 1",
		"forged 1 has the SHA-256 b" + sum[1:] + ", the lock file expects " + sum,
		"added 1 is not in the lock file",
		"unused 1 is expected by the lock file and not used",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}
