package main

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"weir/services/program"
)

func TestUninstallNeedsNoFileToFindWhatIsThere(t *testing.T) {
	w := newWorld(t)
	before := w.networking()
	w.start()
	w.stop(syscall.SIGKILL)
	good, err := os.ReadFile(w.config)
	w.must(err)
	w.write("module.yaml", "run_dir: run\n")
	w.uninstall()
	w.write("module.yaml", string(good))
	if d := difference(before, w.networking()); d != "" {
		t.Errorf("networking changed:\n%s", d)
	}
	if p := w.pins(); len(p) > 0 {
		t.Errorf("pins are left: %s", p)
	}
}

func TestADataPathOfAnotherConfigurationIsNotDoubled(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.listen(echo)
	c := w.dial(vip4)
	exchange(t, c, "the server has taken it") // before that an agent is needed
	w.stop(syscall.SIGTERM)
	b, err := os.ReadFile(w.config)
	w.must(err)
	other := w.write("other.yaml", string(b)+"interface: weir8\n")
	out, code := w.command("--config", other)
	if code != program.ExitFailed || !strings.Contains(out, "run lbmodule uninstall first") {
		t.Errorf("another interface: exit code %d, %q", code, out)
	}
	w.start()
	exchange(t, c, "undisturbed")
}

func TestCheckTellsWhetherItCouldStart(t *testing.T) {
	w := newWorld(t)
	w.start()
	good, err := os.ReadFile(w.config)
	w.must(err)
	unfilled := w.write("unfilled.yaml", "capacity: {connections: 262144}\n")
	nowhere := w.write("nowhere.yaml", strings.Replace(string(good), "srv1", "srv9", 1))
	for file, want := range map[string]struct {
		code int
		says string
	}{
		w.config: {0, ""}, // also beside the agent that it would replace
		unfilled: {program.ExitUsage, "unfilled.yaml:1: server: is missing; add the key"},
		nowhere:  {program.ExitUsage, `server "srv9" is not in cluster test`},
	} {
		if out, code := w.command("check", "--config", file); code != want.code || !strings.Contains(out, want.says) {
			t.Errorf("%s: exit code %d, %q", file, code, out)
		}
	}
}
