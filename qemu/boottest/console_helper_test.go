package boottest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

var (
	prompt       = regexp.MustCompile(`(?m)^(?:lb1|weir)[>#] `)
	promptOrMore = regexp.MustCompile(`(?ms)\A(.*?)(?:(--more-- \([^)]*\))|^(?:lb1|weir)[>#] )`)
)

// ask runs a command of the console and returns what it prints, all pages of
// it. It asks again while the console is not there yet.
func (n *node) ask(command string) string {
	n.t.Helper()
	n.toPrompt(bootPatience)
	return n.type_(command, patience)
}

// toPrompt leaves the status page, or whatever was typed before.
func (n *node) toPrompt(within time.Duration) {
	n.t.Helper()
	deadline := time.Now().Add(within)
	for {
		if err := n.Send("\r"); err != nil {
			n.t.Fatal(err)
		}
		if _, err := n.ExpectMatch(4*time.Second, prompt); err == nil {
			return
		} else if time.Now().After(deadline) {
			n.t.Fatal(err)
		}
	}
}

// type_ types a line at the prompt and returns the answer up to the next prompt.
func (n *node) type_(line string, within time.Duration) string {
	n.t.Helper()
	// What the prompts asked for in vain have left is not the answer.
	n.Read(100*time.Millisecond, time.Second)
	if err := n.Send(line + "\r"); err != nil {
		n.t.Fatal(err)
	}
	// Its echo is a part of what comes: init's own lines may be between its letters.
	var out strings.Builder
	for {
		got, err := n.ExpectMatch(within, promptOrMore)
		if err != nil {
			n.t.Fatalf("after the command %q: %v", line, err)
		}
		out.WriteString(got[1])
		if got[2] == "" {
			return out.String()
		}
		if err := n.Send(" "); err != nil {
			n.t.Fatal(err)
		}
	}
}

// login gives the password; the prompt shows it.
func (n *node) login() {
	n.t.Helper()
	n.toPrompt(bootPatience)
	if err := n.Send("login\r"); err != nil {
		n.t.Fatal(err)
	}
	got, err := n.ExpectMatch(patience, passwordOrIn)
	if err != nil {
		n.t.Fatal(err)
	}
	if got[1] != "" {
		return
	}
	if err := n.Send(password + "\r"); err != nil {
		n.t.Fatal(err)
	}
	if err := n.Expect(patience, "lb1# "); err != nil {
		n.t.Fatal(err)
	}
}

var passwordOrIn = regexp.MustCompile(`(?m)Password: |^(lb1# )`)

// ended is how the console says that one boot phase stands.
type ended struct{ result, reason, remedy string }

// phases are all of a boot, in their order.
var phases = []string{"mounts", "modules", "identity", "state", "clock", "configuration", "network", "hugepages", "nics", "kernel", "services"}

// phases is what the console's command says of them. A busy init may not answer
// at once.
func (n *node) phases() map[string]ended {
	n.t.Helper()
	var all map[string]ended
	eventually(n.t, patience, func() error {
		text := n.ask("phases")
		if all = parsePhases(text); len(all) < len(phases) {
			return fmt.Errorf("the console tells of %d phases, not %d: %s", len(all), len(phases), text)
		}
		return nil
	})
	return all
}

func parsePhases(text string) map[string]ended {
	all := map[string]ended{}
	blocks := strings.Split(text, "\n\n")
	for _, row := range phaseRow.FindAllStringSubmatch(blocks[0], -1) {
		all[row[1]] = ended{result: row[2]}
	}
	for _, note := range blocks[1:] {
		what, remedy, _ := strings.Cut(oneLine(note), " -> ")
		head, reason, ok := strings.Cut(what, ": ")
		if f := strings.Fields(head); ok && len(f) == 2 {
			all[f[0]] = ended{f[1], reason, remedy}
		}
	}
	return all
}

// phaseRow is one of the table: name, result, when it started, how long it took.
var phaseRow = regexp.MustCompile(`(?m)^(\S+) +(pending|running|ok|degraded|failed|skipped) +[0-9.]+ s +[0-9.]+ s`)

// oneLine undoes the breaking of lines for the terminal.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// phase waits until a phase has ended and returns how.
func (n *node) phase(name string, within time.Duration) ended {
	n.t.Helper()
	// Its line on the console comes first: asking all the time slows it down.
	line := regexp.MustCompile(`\[ *[0-9.]+\] ` + name + ` +(ok|degraded|failed|skipped) `)
	_ = poll(within, func() error {
		if !line.MatchString(n.Text()[n.life:]) {
			return fmt.Errorf("phase %s has not ended", name)
		}
		return nil
	})
	var p ended
	err := poll(patience, func() error {
		if p = n.phases()[name]; p.result == "" || p.result == "pending" || p.result == "running" {
			return fmt.Errorf("phase %s is %q", name, p.result)
		}
		return nil
	})
	if err != nil {
		n.t.Fatalf("%v; the console says:\n%s", err, n.ask("status"))
	}
	return p
}

// wants checks how a phase has ended, and that the console gives the reason and
// the remedy with all of these words, separated by "|".
func (n *node) wants(name, result string, within time.Duration, why, todo string) {
	n.t.Helper()
	p := n.phase(name, within)
	if p.result != result {
		n.t.Errorf("phase %s is %s (%s), want %s", name, p.result, p.reason, result)
	}
	n.says("the reason of phase "+name, p.reason, why)
	n.says("the remedy of phase "+name, p.remedy, todo)
}

// says checks that a text has all of the words, separated by "|".
func (n *node) says(what, text, words string) {
	n.t.Helper()
	if text = oneLine(text); text == "" {
		n.t.Errorf("%s is empty, want %q in it", what, words)
	}
	for _, word := range strings.Split(words, "|") {
		if !strings.Contains(text, word) {
			n.t.Errorf("%s does not say %q: %s", what, word, text)
		}
	}
}

// fine checks that phases ended with ok.
func (n *node) fine(within time.Duration, names ...string) {
	n.t.Helper()
	n.phase(names[len(names)-1], within)
	all := n.phases()
	for _, name := range names {
		if p := all[name]; p.result != "ok" {
			n.t.Errorf("phase %s is %s: %s; to do: %s", name, p.result, p.reason, p.remedy)
		}
	}
}

// eventuallySays repeats a command until it says all of the words.
func (n *node) eventuallySays(command, words string, within time.Duration) {
	n.t.Helper()
	eventually(n.t, within, func() error {
		text := oneLine(n.ask(command))
		for _, word := range strings.Split(words, "|") {
			if !strings.Contains(text, word) {
				return fmt.Errorf("%s does not say %q: %s", command, word, text)
			}
		}
		return nil
	})
}

// service is one line of the console's list of them.
type service struct {
	state    string
	restarts string
	line     string
}

func (n *node) service(name string) service {
	n.t.Helper()
	for _, line := range strings.Split(n.ask("services"), "\n") {
		// SERVICE STATE FOR PID RESTARTS …; a state may be two words.
		if f := columns.Split(strings.TrimSpace(line), -1); len(f) >= 5 && f[0] == name {
			return service{f[1], f[4], line}
		}
	}
	return service{}
}

var columns = regexp.MustCompile(` {2,}`)

// serves waits until the node does what it is for: its programs are ready, and
// the router has a route over it.
func (n *node) serves(r *frr) {
	n.t.Helper()
	if err := r.awaitRoute(bootPatience); err != nil {
		n.t.Fatalf("%v; the console says:\n%s\n%s", err, n.ask("status"), n.ask("check"))
	}
	eventually(n.t, patience, func() error {
		for _, name := range []string{"dataplane", "noded"} {
			if s := n.service(name); s.state != "ready" {
				return fmt.Errorf("the router has a route, but %s is not ready: %q", name, s.line)
			}
		}
		return nil
	})
}

// shell runs a line of the shell and returns what it prints; the node is
// logged in.
func (n *node) shell(line string) string {
	n.t.Helper()
	n.toPrompt(patience)
	n.enterShell()
	// A mark that the echo of the line does not contain, in one word: init's own
	// lines come in between.
	if err := n.Send(line + "; echo shell''done\r"); err != nil {
		n.t.Fatal(err)
	}
	got, err := n.ExpectMatch(time.Minute, shellDone)
	if err != nil {
		n.t.Fatalf("after %q in the shell: %v", line, err)
	}
	if err := n.Send("exit\r"); err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.ExpectMatch(patience, prompt); err != nil {
		n.t.Fatal(err)
	}
	return got[1]
}

var shellDone = regexp.MustCompile(`(?s)\A(.*)shelldone`)

// shellAway runs a line from which the shell does not come back.
func (n *node) shellAway(line string) {
	n.t.Helper()
	n.toPrompt(patience)
	n.enterShell()
	if err := n.Send(line + "\r"); err != nil {
		n.t.Fatal(err)
	}
}

// enterShell leaves the console's prompt for a shell.
func (n *node) enterShell() {
	n.t.Helper()
	if err := n.Send("shell\r"); err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.ExpectMatch(patience, shellPrompt); err != nil {
		n.t.Fatal(err)
	}
}

var shellPrompt = regexp.MustCompile(`(?m)^\$ `)

// end ends the machine's life with a command of the console.
func (n *node) end(how string) {
	n.t.Helper()
	n.login()
	if err := n.Send(how + "\r"); err != nil {
		n.t.Fatal(err)
	}
	if err := n.Expect(patience, "Type yes: "); err != nil {
		n.t.Fatal(err)
	}
	if err := n.Send("yes\r"); err != nil {
		n.t.Fatal(err)
	}
}

// switchOff stops the services and switches the machine off.
func (n *node) switchOff() {
	n.t.Helper()
	n.end("poweroff")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := n.Wait(ctx); err != nil {
		n.t.Fatal(err)
	}
}

// reboots ends the machine's life to begin the next.
func (n *node) reboots() {
	n.t.Helper()
	n.end("reboot")
	n.bootsAgain()
}

// bootsAgain waits for the first phase of the next boot.
func (n *node) bootsAgain() {
	n.t.Helper()
	n.life = len(n.Text())
	eventually(n.t, bootPatience, func() error {
		if !strings.Contains(n.Text()[n.life:], "] mounts ") {
			return errors.New("the machine does not boot again")
		}
		return nil
	})
}

// change puts another cluster file in the place of the first, as an operator's
// tool would, and waits until it is in force.
func (n *node) change(to string) {
	n.t.Helper()
	n.login()
	n.shell("mv /var/lib/weir/" + to + " /var/lib/weir/cluster.yaml")
	n.eventuallySays("logs noded", "the changed configuration is taken", patience)
}
