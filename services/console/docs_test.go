package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"weir/services/console/check"
	"weir/services/console/facts"
	"weir/services/console/report"
	"weir/services/console/terminal"
)

const docs = "../../docs/console.md"

// indented makes a block of code of a text.
func indented(text string) string {
	var b strings.Builder
	for _, l := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		b.WriteString(strings.TrimRight("    "+l, " ") + "\n")
	}
	return b.String()
}

// sceneText is the page of a scene.
func sceneText(t *testing.T, name string) string {
	f := goodFacts()
	scenes[name](f)
	return indented(screenOf(t, report.Page(f)))
}

// commandTable is the commands as Markdown.
func commandTable() string {
	var b strings.Builder
	b.WriteString("| command | |\n|---|---|\n")
	for _, c := range commands() {
		mark := ""
		if c.guarded {
			mark = " *"
		}
		fmt.Fprintf(&b, "| `%s` | %s%s |\n", strings.ReplaceAll(c.usage(), "|", "\\|"), c.about, mark)
	}
	return b.String()
}

// refusingNetwork is one in which the router speaks no BGP.
type refusingNetwork struct{ goodNetwork }

func (refusingNetwork) Connect(context.Context, netip.Addr, netip.AddrPort) error {
	return syscall.ECONNREFUSED
}

// checkText is what check prints of the healthy node after a change.
func checkText(t *testing.T, change func(*facts.Facts), n check.Network) string {
	f := goodFacts()
	f.Links = append(f.Links, facts.Link{Name: "weir-north", Up: true}, facts.Link{Name: "weir-south", Up: true})
	f.File.Dataplane.North.Exception, f.File.Dataplane.South.Exception = "weir-north", "weir-south"
	change(f)
	var lines []string
	check.Run(t.Context(), f, n, func(r check.Result) { lines = append(lines, terminal.Wrap(r.String(), terminal.Columns-1)...) })
	return indented(strings.Join(lines, "\n"))
}

func TestTheDocumentationShowsWhatIsShown(t *testing.T) {
	b, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, part := range []struct{ name, want string }{
		{"page", sceneText(t, "healthy")},
		{"problem", sceneText(t, "no-nic")},
		{"commands", commandTable()},
		{"check", checkText(t, func(f *facts.Facts) {
			f.Dataplane.Ports[0].LinkUp = false
			for _, s := range f.Node.Bgp {
				s.State, s.Reason = "connecting", "the router is unreachable"
			}
		}, goodNetwork{})},
		{"refused", checkText(t, func(f *facts.Facts) {
			for _, s := range f.Node.Bgp {
				s.State, s.Reason = "connecting", "the router refuses connections: is BGP running there, on this port?"
			}
		}, refusingNetwork{})},
	} {
		begin, end := "<!-- "+part.name+" -->\n", "<!-- end -->"
		before, rest, ok := strings.Cut(text, begin)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no part %q", docs, part.name)
		}
		text = before + begin + part.want + end + after
	}
	if *update {
		if err := os.WriteFile(docs, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if text != string(b) {
		t.Errorf("%s shows something else than the console does; go test -update corrects it", docs)
	}
}
