package labtest

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/qemu/netns"
)

// Whatever keeps a program from working is one line on standard error that
// names the cause and the way out, and an exit code that is not 0.
func TestProgramsThatCannotWorkSayWhyInOneLine(t *testing.T) {
	dir := scratch(t)
	node, srv := theLab.Top.Nodes[0], theLab.Top.Servers[0]
	nodeYAML := filepath.Join(theLab.Dir, node.ID, "node.yaml")
	moduleYAML := filepath.Join(theLab.Dir, srv.ID, "module.yaml")
	// edited copies a configuration with one thing changed.
	edited := func(name, from, old, new string) string {
		t.Helper()
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), old) {
			t.Fatalf("%s has no %q", from, old)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name, program, namespace, config string
		user                             uint32 // 0: root
		says                             []string
	}{
		{"dataplane with a strange key", "dataplane", node.Namespace, edited("strange.yaml", nodeYAML, "idle:", "idel:"), 0, []string{"strange.yaml:", "idel"}},
		{"noded with a strange key", "noded", node.Namespace, edited("strange2.yaml", nodeYAML, "metrics:", "metric:"), 0, []string{"strange2.yaml:", "metric"}},
		{"lbmodule with a strange key", "lbmodule", srv.Namespace, edited("strange3.yaml", moduleYAML, "uplink:", "uplnk:"), 0, []string{"strange3.yaml:", "uplnk"}},
		{"dataplane without a configuration", "dataplane", node.Namespace, filepath.Join(dir, "none.yaml"), 0, []string{"none.yaml"}},
		{"noded without a configuration", "noded", node.Namespace, filepath.Join(dir, "none.yaml"), 0, []string{"none.yaml"}},
		{"lbmodule without a configuration", "lbmodule", srv.Namespace, filepath.Join(dir, "none.yaml"), 0, []string{"none.yaml"}},
		{"dataplane without root", "dataplane", node.Namespace, forAnybody(t, nodeYAML), 65534, []string{"root"}},
		{"lbmodule without root", "lbmodule", srv.Namespace, forAnybody(t, moduleYAML), 65534, []string{"root"}},
		{"dataplane with an absent interface", "dataplane", node.Namespace, withRunDir(t, edited("absent.yaml", nodeYAML, "af_packet:north0", "af_packet:north9"), dir), 0, []string{"north9"}},
		{"lbmodule with an absent interface", "lbmodule", srv.Namespace, withRunDir(t, edited("absent2.yaml", moduleYAML, "uplink: eth0", "uplink: eth9"), dir), 0, []string{"eth9"}},
		{"a second dataplane", "dataplane", node.Namespace, nodeYAML, 0, []string{"another", "stop it"}},
		{"a second noded", "noded", node.Namespace, nodeYAML, 0, []string{"another", "stop it"}},
		{"a second lbmodule", "lbmodule", srv.Namespace, moduleYAML, 0, []string{"another", "stop it"}},
		{"dataplane with more memory than there are huge pages", "dataplane", node.Namespace,
			withRunDir(t, edited("memory.yaml", nodeYAML, "memory: 64MiB", "memory: 64GiB"), dir), 0, []string{"huge"}},
		{"noded with a taken metrics port", "noded", node.Namespace, withRunDir(t, edited("port.yaml", nodeYAML, "idle: adaptive", "idle: poll"), dir), 0, []string{"9100"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			program := filepath.Join(theLab.Bin, c.program)
			if c.user != 0 {
				program = copied(t, program, filepath.Dir(c.config), 0o755)
			}
			cmd := exec.CommandContext(ctx, program, "--config", c.config)
			if c.user != 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.user, Gid: c.user}}
			}
			var out strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := netns.Start(c.namespace, cmd); err != nil {
				t.Fatal(err)
			}
			err := cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !exit.Exited() {
				t.Fatalf("it ended with %v: %s", err, out.String())
			}
			// What it logged before is not for whoever started it.
			lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(out.String()), "\n"), func(l string) bool { return strings.HasPrefix(l, "time=") })
			line := strings.Join(lines, "\n")
			if strings.Contains(line, "\n") || line == "" {
				t.Errorf("it says more or less than one line: %q", line)
			}
			for _, want := range c.says {
				if !strings.Contains(line, want) {
					t.Errorf("it says %q, which does not mention %q", line, want)
				}
			}
		})
	}
	// None of that may have harmed the programs that run.
	eventually(t, 20*time.Second, allServed)
}

// forAnybody copies a configuration into a folder that every user can enter;
// the certificates that it names stay root's.
func forAnybody(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir-labtest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return copied(t, path, dir, 0o644)
}

// copied copies a file into a folder.
func copied(t *testing.T, path, dir string, mode os.FileMode) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, filepath.Base(path))
	if err := os.WriteFile(to, content, mode); err != nil {
		t.Fatal(err)
	}
	return to
}

// withRunDir gives a configuration directories of its own, so that its sockets
// and its state are free.
func withRunDir(t *testing.T, path, dir string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		for _, key := range []string{"run_dir: ", "state_dir: "} {
			if strings.HasPrefix(line, key) {
				lines[i] = key + dir
			}
		}
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Restarting what is not on the packets' way disturbs no packet (S-26).
func TestRestartingAgentsUnderLoadDisturbsNothing(t *testing.T) {
	conns := connections(t, 20)
	ctx := within(t, time.Minute)
	end := make(chan error, 1)
	go func() {
		got, err := client().RunWrk(ctx, "http://"+web4().String()+"/1k", 50, 12)
		if err == nil && got.Errors != "" {
			err = errors.New(got.Errors)
		}
		end <- err
	}()
	restart := func(machine, name string, signal syscall.Signal) {
		t.Helper()
		if err := theLab.Stop(machine, name, signal); err != nil {
			t.Fatal(err)
		}
		for _, conn := range conns {
			if err := echo(conn, "without "+name); err != nil {
				t.Errorf("while %s of %s was away: %v", name, machine, err)
			}
		}
		if err := theLab.Start(machine, name); err != nil {
			t.Fatal(err)
		}
	}
	restart(theLab.Top.Servers[0].ID, "lbmodule", syscall.SIGTERM)
	restart(theLab.Top.Servers[1].ID, "lbmodule", syscall.SIGKILL)
	if err := <-end; err != nil {
		t.Errorf("wrk: %v", err)
	}
	for _, conn := range conns {
		if err := echo(conn, "after all restarts"); err != nil {
			t.Error(err)
		}
	}
	tally := client().Requests(ctx, []netip.AddrPort{web4(), web6()}, 100, 4)
	for _, err := range tally.Lost {
		t.Error(err)
	}
}

// Forwarding does not depend on the control plane.
func TestConnectionsOutliveARestartOfTheControlPlane(t *testing.T) {
	conns := connections(t, 20)
	node := theLab.Top.Nodes[1]
	if err := theLab.Stop(node.ID, "noded", syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for _, conn := range conns {
		if err := echo(conn, "without noded"); err != nil {
			t.Error(err)
		}
	}
	if err := theLab.Start(node.ID, "noded"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, everyNodeAnnounced)
	for _, conn := range conns {
		if err := echo(conn, "with noded again"); err != nil {
			t.Error(err)
		}
	}
}
