// Package trial decides which version a machine that boots over the network boots
// next (S-104): a new version is offered once, is committed when the machine
// reports that it is well, and otherwise gives way to the old one. It is pure.
package trial

// State is what is known of one machine. The zero value is a machine that never
// booted.
type State struct {
	Committed string `json:"committed,omitempty"` // boots if nothing new comes; empty: nothing yet
	Trial     string `json:"trial,omitempty"`     // the newest version that is not committed
	Offered   bool   `json:"offered,omitempty"`   // the machine took it: its one try is spent
	Failed    string `json:"failed,omitempty"`    // why it is not tried again; empty: it has not failed
	Installed bool   `json:"installed,omitempty"` // the machine boots from its own disk
}

// SilentFailure is why a trial failed whose machine came back without a word.
const SilentFailure = "it was booted and never reported that it is well"

// Next is the version to boot when the operator wants one, and the state then.
// Asking again before Taken changes nothing.
func (s State) Next(wanted string) (string, State) {
	if wanted == s.Committed {
		s.Trial, s.Offered, s.Failed = "", false, ""
		return wanted, s
	}
	if s.Trial != wanted {
		s.Trial, s.Offered, s.Failed = wanted, false, ""
	}
	if s.Committed == "" {
		return wanted, s // there is nothing to go back to
	}
	if s.Offered && s.Failed == "" {
		s.Failed = SilentFailure
	}
	if s.Failed != "" {
		return s.Committed, s
	}
	return wanted, s
}

// Taken notes that the machine began to load a version.
func (s State) Taken(version string) State {
	if version == s.Trial {
		s.Offered = true
	}
	return s
}

// Good notes that the machine runs a version and is well. A version that was
// given up stays given up: it could only be an old message. A machine that was
// approved after it had booted was offered nothing under its name.
func (s State) Good(version string) State {
	first := s.Committed == "" && s.Trial == ""
	if first || version == s.Trial && s.Offered && s.Failed == "" {
		return State{Committed: version, Installed: s.Installed}
	}
	return s
}

// Bad notes why the machine went back from a version.
func (s State) Bad(version, why string) State {
	if version == s.Trial && s.Offered && (s.Failed == "" || s.Failed == SilentFailure) {
		s.Failed = why
	}
	return s
}
