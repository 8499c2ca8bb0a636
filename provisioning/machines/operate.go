package machines

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"weir/services/identity"
)

// find is the only record that an operator can mean.
func (g *Registry) find(selector string) (*Record, error) {
	var found []*Record
	for _, r := range g.records {
		if r.selects(selector) {
			found = append(found, r)
		}
	}
	if len(found) > 1 { // a machine may have made another key since it was revoked
		found = slices.DeleteFunc(found, func(r *Record) bool { return r.Standing == Revoked })
	}
	switch len(found) {
	case 0:
		return nil, refuse(ErrNotFound, "no machine is called %.80q; give its fingerprint (8 digits at least) or a MAC address of it", selector)
	case 1:
		return found[0], nil
	}
	return nil, refuse(ErrNotAsItIs, "%d machines are called %.80q; give more digits of the fingerprint", len(found), selector)
}

// Approve makes a machine what an entry says: the named one, or the one that
// knows it.
func (g *Registry) Approve(selector, role, id string, now time.Time) (View, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, err := g.find(selector)
	if err != nil {
		return View{}, err
	}
	e := match(g.entries, r.Hardware)
	if id != "" {
		if e = g.entry(role, id); e == nil {
			return View{}, refuse(ErrNotFound, "%s %s is not in provisiond.yaml; add it to machines", role, id)
		}
	}
	switch {
	case e == nil && r.Standing == Approved:
		return g.view(r), nil
	case e == nil:
		return View{}, refuse(ErrNotAsItIs, "no entry of provisiond.yaml, or more than one, knows %s; say which it is to be: --as ID", r.Hardware)
	case r.Standing == Approved && r.name() == e.Name():
		return g.view(r), nil
	case r.Standing == Approved:
		return View{}, refuse(ErrNotAsItIs, "it is %s already; revoke it first", r.name())
	}
	for _, other := range g.records {
		if other.Standing != Approved {
			continue
		}
		if other.name() == e.Name() {
			return View{}, refuse(ErrNotAsItIs, "%s is another machine, %s; revoke that one first", e.Name(), other.Hardware)
		}
		if slices.ContainsFunc(r.Hardware.MACs, other.Hardware.has) {
			return View{}, refuse(ErrNotAsItIs, "it claims a MAC address of %s, which is approved with another key; revoke that one first", other.name())
		}
	}
	public, err := x509.ParsePKIXPublicKey(r.Public)
	if err != nil {
		return View{}, fmt.Errorf("read the machine's public key: %w", err)
	}
	next := *r
	next.Role, next.ID = e.Role, e.ID
	if err := g.issue(&next, public, now); err != nil {
		return View{}, err
	}
	*r = next
	return g.view(r), nil
}

// Revoke takes back all certificates of a machine; the name of its entry selects
// it too.
func (g *Registry) Revoke(selector string, now time.Time) (View, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var r *Record
	for _, one := range g.records {
		if one.Standing == Approved && (one.ID == selector || one.name() == selector) {
			if r != nil {
				return View{}, refuse(ErrNotAsItIs, "a node and a server are called %s; give the fingerprint", selector)
			}
			r = one
		}
	}
	if r == nil {
		var err error
		if r, err = g.find(selector); err != nil {
			return View{}, err
		}
	}
	if r.Standing == Revoked {
		return g.view(r), nil
	}
	next := *r
	next.Standing, next.Issued, next.Certificate, next.Expires = Revoked, nil, nil, time.Time{}
	revoked := slices.DeleteFunc(slices.Clone(g.revoked), func(i Issued) bool { return now.After(i.Expires) })
	for _, i := range r.Issued {
		i.Revoked = now
		revoked = append(revoked, i)
	}
	if err := g.store.Revoke(&next, revoked); err != nil {
		return View{}, err
	}
	*r, g.revoked = next, revoked
	return g.view(r), nil
}

// RevokedCertificates are all that were taken back and have not expired.
func (g *Registry) RevokedCertificates() []identity.Revoked {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []identity.Revoked
	for _, i := range g.revoked {
		out = append(out, identity.Revoked{Serial: i.Serial, At: i.Revoked})
	}
	return out
}

func certificate(s Signer, e *Entry, public any, valid time.Duration) (*x509.Certificate, error) {
	der, err := s.Sign(identity.Role(e.Role), e.ID, e.Addresses, public, valid)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", e.Name(), err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate of %s: %w", e.Name(), err)
	}
	return c, nil
}
