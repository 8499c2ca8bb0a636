package modules

import (
	"fmt"
	"slices"
)

// watchdogs are the drivers of chipsets' timers, and of the chips that they are
// on: they are loaded before all else. That of a management controller is slow
// to find and comes with the other devices.
var watchdogs = []string{"i6300esb", "iTCO_wdt", "lpc_ich", "i2c_i801", "wdat_wdt", "hpwdt", "sp5100_tco"}

// LoadWatchdogs loads the drivers of the hardware watchdogs that this machine
// has, so that the boot itself is watched. What they share comes first: it has a
// restart leave the timers running, whatever a driver would do (see watchdog).
func (l *Loader) LoadWatchdogs() error {
	if err := l.prober.Probe("watchdog", "stop_on_reboot=0"); err != nil {
		return fmt.Errorf("watchdog: %w", err)
	}
	return l.search().watchdogs()
}

func (s *search) watchdogs() error {
	var all []string
	for {
		var wanted []string
		for _, device := range modaliases(s.root) {
			for _, m := range s.aliases.Modules(device) {
				if slices.Contains(watchdogs, m) && !slices.Contains(all, m) {
					wanted, all = append(wanted, m), append(all, m)
				}
			}
		}
		if len(wanted) == 0 { // a chip makes its timer appear, so it is asked once more
			return nil
		}
		if err := report(wanted, s.loadAll(wanted)); err != nil {
			return err
		}
	}
}
