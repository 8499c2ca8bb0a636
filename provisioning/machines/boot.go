package machines

import (
	"slices"

	"weir/provisioning/trial"
	"weir/services/config"
)

// Boot is what a machine boots now.
type Boot struct {
	Name    string // the approved machine's entry, "node lb1"; empty: it is not approved
	Version string
	OwnDisk bool // it is installed: nothing is loaded over the network
}

// Boot decides what the machine with this hardware boots. Of the hardware the MAC
// address, the only one, is proved; an approved machine is known by nothing else.
// Who is not approved gets the image, which holds no secret, and nothing more.
func (g *Registry) Boot(h Hardware) (Boot, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.records {
		if r.Standing != Approved || len(h.MACs) != 1 || !r.Hardware.has(h.MACs[0]) {
			continue
		}
		e := g.entry(r.Role, r.ID)
		if e == nil {
			return Boot{}, refuse(ErrNotAsItIs, "%s is not in provisiond.yaml any more", r.name())
		}
		if e.Role != config.RoleNode {
			return Boot{}, refuse(ErrNotAsItIs, "%s is a server: there is no image for it", e.Name())
		}
		before := g.boots[e.Name()]
		version, next := before.Next(e.Version)
		if err := g.keep(e.Name(), before, next); err != nil {
			return Boot{}, err
		}
		return Boot{e.Name(), version, e.Install && next.Installed}, nil
	}
	if e := match(g.entries, h); e != nil && e.Role == config.RoleNode {
		return Boot{Version: e.Version}, nil
	}
	return Boot{Version: g.version}, nil
}

// Taken notes that an approved machine begins to load a version.
func (g *Registry) Taken(name, version string) error {
	return g.change(name, func(s trial.State) trial.State { return s.Taken(version) })
}

// Booted notes what a machine says of the version that it runs, and is what it
// boots next if nothing new comes.
func (g *Registry) Booted(name, version, failed string, installed bool) (committed string, err error) {
	err = g.change(name, func(s trial.State) trial.State {
		s.Installed = installed
		switch {
		case failed != "":
			return s.Bad(version, failed)
		case s.Trial == version || g.gives(version):
			return s.Good(version)
		}
		return s // no version of ours
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.boots[name].Committed, err
}

// gives reports whether some machine is to run a version.
func (g *Registry) gives(version string) bool {
	return version == g.version || slices.ContainsFunc(g.entries, func(e *Entry) bool { return e.Version == version })
}

func (g *Registry) change(name string, next func(trial.State) trial.State) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.boots[name]
	return g.keep(name, before, next(before))
}

// keep puts a machine's state on the disk first: a trial that began is spent,
// whatever happens to us.
func (g *Registry) keep(name string, before, next trial.State) error {
	if before == next {
		return nil
	}
	if err := g.store.PutBoot(name, next); err != nil {
		return err
	}
	g.boots[name] = next
	return nil
}

// Intended is what is meant for an approved machine.
type Intended struct {
	NodeYAML string // with its secrets; empty: a server
	Version  string
	Install  bool
}

// Intended is what is meant for the machine of a record that Holder gave.
func (g *Registry) Intended(r Record) (Intended, error) {
	e := g.entry(r.Role, r.ID)
	if e == nil {
		return Intended{}, refuse(ErrNotAsItIs, "%s is not in provisiond.yaml any more", r.name())
	}
	return Intended{e.NodeYAML, e.Version, e.Install}, nil
}
