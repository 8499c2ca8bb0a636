package main

import (
	"slices"
	"testing"

	"weir/services/api"
)

func TestAnOperatorUpgradesAndGoesBack(t *testing.T) {
	r := newRig(t, nil, nil)
	r.prompt()
	r.on("upgrade 0.2.0")
	r.sees("Password:")
	r.types(password + "\r")
	r.sees("upgrade this node, and restart it? Type yes:")
	r.types("no\r")
	r.sees("not done")
	r.atPrompt()
	for line, want := range map[string]string{"upgrade": "downloads 0.2.0 50% of 32.0 MiB", "upgrade /var/lib/weir/b": "the machine restarts into it", "upgrade 9.9.9": "there is no release 9.9.9",
		"rollback too slow": "restarts into version 0.1.0"} {
		r.on(line)
		r.sees("Type yes:")
		r.types("yes\r")
		r.sees(want)
		r.atPrompt()
		r.types("\x0c")
	}
	slices.Sort(r.asked)
	if want := []string{"install ", "install /var/lib/weir/b", "install 9.9.9", "rollback asked for on the console: too slow"}; !slices.Equal(r.asked, want) {
		t.Errorf("asked %q, want %q", r.asked, want)
	}
}

func TestThePageTellsOfATrialAndOfWhatWentBack(t *testing.T) {
	r := newRig(t, func(f *fakes) {
		f.update.Trial = &api.UpdateTrial{WaitsFor: []string{"no router is reached"}, HeldSeconds: 3, HoldSeconds: 30, LeftSeconds: 200}
	}, nil)
	r.sees("upgrade   version 0.1.0 is on trial: well for 3 of 30 s, 200 s left", "no router is reached")
	r.change(func() {
		r.update = &api.UpdateStatus{Version: "0.1.0", State: "rolled back", Reason: "version 0.2.0 is not well: no router is reached"}
	})
	r.sees("! the last upgrade was rolled back: version 0.2.0 is not well", "-> see: upgrades")
	r.change(func() { r.update = nil })
	r.stop("updated")
	r.prompt()
	r.does("upgrades", "updated is not running")
}
