package cpus

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSetsAreReadAndWrittenAsTheKernelDoes(t *testing.T) {
	for list, mask := range map[string]string{
		"":           "00000000",
		"0":          "00000001",
		"0-3,5":      "0000002f",
		"1,3,5-6":    "0000006a",
		"31-33":      "00000003,80000000",
		"0,64-67,70": "0000004f,00000000,00000001",
	} {
		s, err := Parse(list + "\n")
		if err != nil || s.String() != list || s.Mask() != mask {
			t.Errorf("%q: %q, mask %s: %v", list, s, s.Mask(), err)
		}
	}
	for _, wrong := range []string{"x", "3-1", "-1", "0-9999", "1,,2"} {
		if s, err := Parse(wrong); err == nil {
			t.Errorf("%q is %q", wrong, s)
		}
	}
}

func machine(t *testing.T, online string) string {
	root := t.TempDir()
	for file, text := range map[string]string{
		"sys/devices/system/cpu/online":         online,
		"sys/devices/virtual/workqueue/cpumask": "f",
		"proc/irq/default_smp_affinity":         "f",
		"proc/irq/24/smp_affinity_list":         "0-3",
		"proc/irq/24/actions":                   "",
	} {
		p := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestTheRestIsWhatThePacketProcessorDoesNotHave(t *testing.T) {
	root := machine(t, "0-3\n")
	for _, c := range []struct {
		kept []int
		want string // or part of the error
	}{
		{[]int{3}, "0-2"},
		{[]int{1, 2}, "0,3"},
		{nil, "0-3"},
		{[]int{4}, "core 4 of dataplane.layout is not there; this machine has 0-3"},
		{[]int{0, 1, 2, 3}, "names all cores (0-3)"},
	} {
		rest, err := Rest(root, c.kept)
		got := rest.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("kept %v: %s, want %s", c.kept, got, c.want)
		}
	}
}

func TestTheKernelsOwnWorkMovesToTheRest(t *testing.T) {
	root := machine(t, "0-3\n")
	Kernel(root, Of(0, 1))
	for file, want := range map[string]string{
		"sys/devices/virtual/workqueue/cpumask": "00000003",
		"proc/irq/default_smp_affinity":         "00000003",
		"proc/irq/24/smp_affinity_list":         "0-1",
	} {
		if b, _ := os.ReadFile(filepath.Join(root, file)); string(b) != want {
			t.Errorf("%s: %q, want %q", file, b, want)
		}
	}
}

func TestKernelThreadsAreTold(t *testing.T) {
	for stat, want := range map[string]bool{
		"2 (kthreadd) S 0 0 0 0 -1 2129984 0":           true,
		"512 (a) b) S 1 1 1 0 -1 4194560 1":             false,
		"2 (kworker/0:1-eve) I 2 0 0 0 -1 69238880 0 0": true,
		"": false,
	} {
		if got := kernelThread(stat); got != want {
			t.Errorf("%q: %v", stat, got)
		}
	}
}

func TestAProcessFloatsOnTheRest(t *testing.T) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	cores := Set{all}.Cores()
	c := exec.Command("sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { c.Process.Kill(); c.Wait() }()
	rest := Of(cores[len(cores)-1])
	Float(c.Process.Pid, rest)
	var got unix.CPUSet
	if err := unix.SchedGetaffinity(c.Process.Pid, &got); err != nil || got != rest.CPUSet {
		t.Errorf("it runs on %s, %v", Set{got}, err)
	}
}
