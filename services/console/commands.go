package main

import (
	"context"
	"fmt"
	"strings"
)

// command is one line's first word.
type command struct {
	name    string
	args    string // as usage shows them
	about   string
	guarded bool // needs the password: it changes the node, or shows what clients send
	run     func(s *session, ctx context.Context, args []string) error
}

// commands are all of them, in the order of help. It is a function because help
// is one of them.
func commands() []command {
	return []command{
		{"status", "", "everything on the status page, in full", false, showStatus},
		{"watch", "", "the status page, refreshed", false, func(_ *session, _ context.Context, args []string) error {
			if len(args) > 0 {
				return errUsage
			}
			return errWatch
		}},
		{"phases", "", "boot phases: times, results, what to do", false, showPhases},
		{"nics", "", "network cards and their drivers", false, showNICs},
		{"links", "", "link state and counters of every port", false, showLinks},
		{"bgp", "", "BGP sessions of this node", false, showBGP},
		{"nodes", "", "LB nodes as this one sees them", false, showNodes},
		{"servers", "", "server nodes as this one sees them", false, showServers},
		{"flows", "", "connections, packet processor, drops by reason", false, showFlows},
		{"services", "", "programs of this node: state, restarts, resources", false, showServices},
		{"logs", "[SOURCE [N]] [-f]", "last lines of a service, init or kernel", false, showLogs},
		{"crashes", "[N]", "kernel and program crashes of earlier boots", false, showCrashes},
		{"upgrades", "", "slots, the version on trial, how upgrades ended", false, showUpgrades},
		{"config", "[source|errors]", "configuration in force, without secrets", false, showConfig},
		{"check", "", "network checks, from the cable upwards", false, checkNetwork},
		{"capture", "SIDE [-c N] [FILTER]", "packets of north, south or control, into a file", true, captureFrames},
		{"restart", "SERVICE", "restart a service", true, restart},
		{"upgrade", "[VERSION|BUNDLE]", "install a version, and restart into it", true, upgrade},
		{"rollback", "[REASON]", "restart into the version before", true, rollBack},
		{"reboot", "", "stop everything and start again", true, end("reboot")},
		{"poweroff", "", "stop everything and switch off", true, end("poweroff")},
		{"shell", "", "a shell; exit comes back", true, shell},
		{"login", "", "give the console's password", false, (*session).logIn},
		{"logout", "", "take the permission back", false, (*session).logOut},
		{"help", "[COMMAND]", "this list", false, help},
	}
}

// errUsage has the command's usage printed.
var errUsage = fmt.Errorf("bad arguments")

// execute runs one line.
func (s *session) execute(ctx context.Context, line string) error {
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil
	}
	c := find(words[0])
	if c == nil {
		return fmt.Errorf("unknown command %q; help lists them", words[0])
	}
	if c.guarded {
		if err := s.authorize(ctx); err != nil {
			return err
		}
	}
	err := c.run(s, ctx, words[1:])
	if err == errUsage {
		return fmt.Errorf("usage: %s", c.usage())
	}
	return err
}

func (c *command) usage() string { return strings.TrimSpace(c.name + " " + c.args) }

func find(name string) *command {
	for _, c := range commands() {
		if c.name == name {
			return &c
		}
	}
	return nil
}

// complete finishes the first word when Tab is pressed.
func complete(line string, pos int, key rune) (string, int, bool) {
	if key != '\t' || pos != len(line) || strings.Contains(line, " ") {
		return "", 0, false
	}
	var found []string
	for _, c := range commands() {
		if strings.HasPrefix(c.name, line) {
			found = append(found, c.name)
		}
	}
	if len(found) != 1 {
		return "", 0, false
	}
	return found[0] + " ", len(found[0]) + 1, true
}

// more is what help says of single commands.
var more = map[string][]string{
	"logs":    {"  100 lines without N; -f shows what comes, until Ctrl-C or q"},
	"config":  {"  source: where it is from; errors: what is wrong with it"},
	"capture": {"  FILTER is host ADDRESS, port NUMBER, or both; also of what is encapsulated", "  ends after N packets, at 16 MiB, or with Ctrl-C or q"},
	"upgrade": {"  the newest of the repository, a version of it, or the path of a bundle", "  goes back by itself if the node does not prove healthy"},
	"check":   {"  a minute at most; ends with Ctrl-C or q"},
}

func help(s *session, _ context.Context, args []string) error {
	if len(args) > 1 {
		return errUsage
	}
	if len(args) == 1 {
		c := find(args[0])
		if c == nil {
			return fmt.Errorf("unknown command %q; help lists them", args[0])
		}
		lines := []string{c.usage(), "  " + c.about}
		if c.guarded {
			lines = append(lines, "  needs the password")
		}
		return s.page(append(lines, more[c.name]...))
	}
	var rows [][]string
	for _, c := range commands() {
		mark := ""
		if c.guarded {
			mark = " *"
		}
		rows = append(rows, []string{c.usage(), c.about + mark})
	}
	return s.page(append(table(rows), "* needs the password. Ctrl-C ends a command, Tab completes one."))
}

func (s *session) logIn(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return errUsage
	}
	return s.authorize(ctx)
}

func (s *session) logOut(_ context.Context, args []string) error {
	if len(args) > 0 {
		return errUsage
	}
	s.login.out()
	if s.Interactive() {
		return errWatch
	}
	return nil
}
