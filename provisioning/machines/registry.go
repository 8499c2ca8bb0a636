package machines

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"weir/provisioning/trial"
	"weir/services/identity"
)

// Kinds of refusal.
var (
	ErrNotFound  = errors.New("not found")
	ErrNotAsItIs = errors.New("cannot be done as things are")
	ErrRevoked   = errors.New("revoked")
	ErrFull      = errors.New("too many machines wait for approval")
)

// refusal is a kind with its own text.
type refusal struct {
	kind error
	text string
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.kind }

func refuse(kind error, text string, args ...any) error {
	return &refusal{kind, fmt.Sprintf(text, args...)}
}

// Bounds of what strangers can make us remember. A machine that waits asks again
// every PollEvery; one that does not for pendingFor is forgotten.
const (
	maxPending           = 1024
	maxPendingPerAddress = 16
	pendingFor           = 30 * time.Minute
	PollEvery            = 5 * time.Second
)

// Signer is the cluster's authority.
type Signer interface {
	Sign(role identity.Role, id string, addresses []string, public crypto.PublicKey, valid time.Duration) ([]byte, error)
}

// Store remembers. What it was given is on the disk when it returns.
type Store interface {
	PutRecord(*Record) error
	PutBoot(name string, s trial.State) error
	// Revoke puts a record and the list of all revoked certificates together.
	Revoke(*Record, []Issued) error
}

// Kept is what a Store remembered.
type Kept struct {
	Records []*Record
	Boots   map[string]trial.State // by the entry's name
	Revoked []Issued
}

// Registry is all machines.
type Registry struct {
	entries  []*Entry
	version  string // of machines that no entry knows
	validity time.Duration
	signer   Signer
	store    Store

	mu      sync.Mutex
	records map[string]*Record // by fingerprint
	boots   map[string]trial.State
	revoked []Issued
}

// New is a registry of these entries. Version is what machines boot that no entry
// knows, validity how long certificates last.
func New(entries []*Entry, version string, validity time.Duration, signer Signer, store Store, kept Kept) *Registry {
	g := &Registry{entries: entries, version: version, validity: validity, signer: signer, store: store,
		records: map[string]*Record{}, boots: kept.Boots, revoked: kept.Revoked}
	for _, r := range kept.Records {
		g.records[r.Fingerprint] = r
	}
	if g.boots == nil {
		g.boots = map[string]trial.State{}
	}
	return g
}

func (g *Registry) entry(role, id string) *Entry {
	for _, e := range g.entries {
		if e.Role == role && e.ID == id {
			return e
		}
	}
	return nil
}

// Enrol notes that a machine asks for a certificate, and is what is known of it.
func (g *Registry) Enrol(k Key, h Hardware, from netip.Addr, version string, now time.Time) (Record, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.records[k.Fingerprint]
	if r == nil {
		if err := g.room(from, now); err != nil {
			return Record{}, err
		}
		r = &Record{Fingerprint: k.Fingerprint, Standing: Pending, Public: k.DER}
		g.records[k.Fingerprint] = r
	}
	r.Address, r.Seen, r.Version = from, now, version
	switch r.Standing {
	case Pending:
		r.Hardware = h
	case Revoked:
		return Record{}, refuse(ErrRevoked, "this key is revoked")
	case Approved:
		// A machine that was off for so long that its certificate ran out has
		// proved again that it has the key.
		if !now.Before(r.Expires) {
			if err := g.issue(r, k.Public, now); err != nil {
				return Record{}, err
			}
		}
	}
	return *r, nil
}

// room makes sure that another machine may wait, and forgets who waits no more.
func (g *Registry) room(from netip.Addr, now time.Time) error {
	all, here := 0, 0
	for f, r := range g.records {
		switch {
		case r.Standing != Pending:
		case now.Sub(r.Seen) > pendingFor:
			delete(g.records, f)
		default:
			if all++; r.Address == from {
				here++
			}
		}
	}
	if all >= maxPending || here >= maxPendingPerAddress {
		return refuse(ErrFull, "too many machines wait for approval; approve or revoke some, or look who floods this service")
	}
	return nil
}

// issue signs a certificate for an approved record, and keeps it.
func (g *Registry) issue(r *Record, public any, now time.Time) error {
	e := g.entry(r.Role, r.ID)
	if e == nil {
		return refuse(ErrNotAsItIs, "%s is not in provisiond.yaml any more", r.name())
	}
	c, err := certificate(g.signer, e, public, g.validity)
	if err != nil {
		return err
	}
	next := *r
	next.Certificate, next.Expires = c.Raw, c.NotAfter
	next.Issued = slices.DeleteFunc(slices.Clone(r.Issued), func(i Issued) bool { return now.After(i.Expires) })
	next.Issued = append(next.Issued, Issued{Serial: c.SerialNumber, Expires: c.NotAfter})
	next.Standing = Approved
	if err := g.store.PutRecord(&next); err != nil {
		return err
	}
	*r = next
	return nil
}

// Holder is the approved record of a certificate's key, if its holder is still
// who the certificate says.
func (g *Registry) Holder(name identity.Name, fingerprint string, now time.Time) (Record, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, err := g.holder(name, fingerprint, now)
	if err != nil {
		return Record{}, err
	}
	return *r, nil
}

func (g *Registry) holder(name identity.Name, fingerprint string, now time.Time) (*Record, error) {
	r := g.records[fingerprint]
	if r == nil || r.Standing != Approved || r.Role != string(name.Role) || r.ID != name.ID {
		return nil, refuse(ErrRevoked, "this certificate is revoked, or was not given out here")
	}
	r.Seen = now
	return r, nil
}

// Renew gives a new certificate to who has a valid one of the same key.
func (g *Registry) Renew(name identity.Name, fingerprint string, k Key, now time.Time) (Record, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, err := g.holder(name, fingerprint, now)
	switch {
	case err != nil:
		return Record{}, err
	case k.Fingerprint != fingerprint:
		return Record{}, refuse(ErrNotAsItIs, "the request is for another key; a new key has to be enrolled")
	case len(r.Issued) >= maxIssued:
		return Record{}, refuse(ErrFull, "this machine was given %d certificates that are valid still", len(r.Issued))
	}
	if err := g.issue(r, k.Public, now); err != nil {
		return Record{}, err
	}
	return *r, nil
}

// maxIssued bounds the valid certificates of one machine. Machines renew after
// two thirds of the validity, and when they lost it.
const maxIssued = 64

// View is a record as operators see it.
type View struct {
	Record
	Matches string       // the entry that knows it; empty: none
	Boot    *trial.State // nil: it has not booted from here
}

// List is all machines, those that wait first, and the entries that no approved
// machine has.
func (g *Registry) List(now time.Time) (list []View, free []*Entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	taken := map[string]bool{}
	for _, r := range g.records {
		if r.Standing == Pending && now.Sub(r.Seen) > pendingFor {
			continue
		}
		list = append(list, g.view(r))
		if r.Standing == Approved {
			taken[r.name()] = true
		}
	}
	order := map[Standing]int{Pending: 0, Approved: 1, Revoked: 2}
	slices.SortFunc(list, func(a, b View) int {
		return cmp.Or(cmp.Compare(order[a.Standing], order[b.Standing]), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	for _, e := range g.entries {
		if !taken[e.Name()] {
			free = append(free, e)
		}
	}
	return list, free
}

func (g *Registry) view(r *Record) View {
	v := View{Record: *r}
	if e := match(g.entries, r.Hardware); e != nil {
		v.Matches = e.Name()
	}
	if b, ok := g.boots[r.name()]; ok && r.Standing == Approved {
		v.Boot = &b
	}
	return v
}
