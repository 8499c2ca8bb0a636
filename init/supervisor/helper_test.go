package supervisor

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/init/logs"
)

// The test binary is its own services: WEIR_AS says which.
func TestMain(m *testing.M) {
	if as := os.Getenv("WEIR_AS"); as != "" {
		helpers[as]()
		return
	}
	os.Exit(m.Run())
}

var helpers = map[string]func(){
	"steady": func() { say("READY=1\nSTATUS=steady"); beat() },
	"hang":   func() { say("READY=1"); forever() },
	"mute":   forever,
	"stubborn": func() {
		signal.Ignore(syscall.SIGTERM)
		say("READY=1")
		forever()
	},
	"panic": func() { say("READY=1"); panic("a slip") },
	// leaves a process behind that is in no process group of its own making
	"orphans": func() {
		c := exec.Command("sh", "-c", `setsid sleep 1000 & echo "left $!"`)
		c.Stdout = os.Stdout
		c.Run()
		say("READY=1")
		forever()
	},
	"stranger": func() {
		say("READY=1")
	},
}

func say(text string) {
	c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer c.Close()
	c.Write([]byte(text))
}

func beat() {
	for range time.Tick(50 * time.Millisecond) {
		say("WATCHDOG=1")
	}
}

func forever() {
	for range time.Tick(time.Hour) {
	}
}

// rig is a supervisor with real processes.
type rig struct {
	*Supervisor
	t       *testing.T
	mu      sync.Mutex
	told    []string
	crashes []string
}

func newRig(t *testing.T, groups bool, table ...Spec) *rig {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i := range table {
		s := &table[i]
		if len(s.Command) == 1 && !filepath.IsAbs(s.Command[0]) {
			s.Env, s.Command = append(s.Env, "WEIR_AS="+s.Command[0]), []string{self}
			s.Notify = true
		}
		if s.Start == 0 {
			s.Start = 30 * time.Second
		}
		if s.Stop == 0 {
			s.Stop = 10 * time.Second
		}
	}
	r := &rig{t: t}
	start := time.Now()
	now := func() time.Duration { return time.Since(start) }
	o := Options{Now: now, Logs: logs.NewStore(now), Notify: filepath.Join(t.TempDir(), "notify"),
		Tell:    func(line string) { r.mu.Lock(); r.told = append(r.told, line); r.mu.Unlock() },
		Crashed: func(service, how string, last []logs.Line) { r.crash(service, how, last) }}
	if groups {
		o.Groups = testGroups(t)
	}
	if r.Supervisor, err = New(o, table); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	t.Cleanup(func() {
		limit, stop := context.WithTimeout(ctx, 30*time.Second)
		defer stop()
		if left := r.StopAll(limit); left != nil {
			t.Errorf("cannot be stopped: %q", left)
		}
		cancel()
		<-done
	})
	return r
}

func (r *rig) crash(service, how string, last []logs.Line) {
	text := service + ": " + how
	for _, l := range last {
		text += "\n" + l.Text
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.crashes = append(r.crashes, text)
}

func (r *rig) status(name string) Status {
	for _, s := range r.Status() {
		if s.Name == name {
			return s
		}
	}
	r.t.Fatalf("no service %s", name)
	return Status{}
}

// until polls a condition.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(end) {
			r.t.Fatalf("not within 30 s: %s; services %+v; told %q", what, r.Status(), r.told)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (r *rig) is(name string, want State) {
	r.t.Helper()
	r.until(name+" is "+string(want), func() bool { return r.status(name).State == want })
}

func (r *rig) log(name string) string {
	var b strings.Builder
	for _, l := range r.Logs.Source(name).Tail(0) {
		b.WriteString(l.Text + "\n")
	}
	return b.String()
}

// testGroups is a cgroup of this test below the machine's version 2 hierarchy.
func testGroups(t *testing.T) Groups {
	for _, at := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if unix.Statfs(at, &fs) != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		dir, err := os.MkdirTemp(at, "weir-test-*")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			all, _ := filepath.Glob(dir + "/*/cgroup.procs")
			for _, g := range all {
				if err := os.Remove(filepath.Dir(g)); err != nil {
					t.Error(err)
				}
			}
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		})
		return Groups(dir)
	}
	t.Fatal("this test needs cgroup version 2: mount it on /sys/fs/cgroup or /sys/fs/cgroup/unified")
	return ""
}
