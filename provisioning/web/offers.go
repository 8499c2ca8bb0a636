package web

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"
)

// maxOffers and offerFor bound what is remembered of boots under way.
const (
	maxOffers = 4096
	offerFor  = 30 * time.Minute
)

// offer is what one boot of one machine may load. Its name cannot be guessed, and
// only the machine that it was made for can use it, whatever address it has: its
// firmware, iPXE and its system may each get another one.
type offer struct {
	mac     string
	machine string // "node lb1"; empty: not approved
	version string
	until   time.Time
}

type offers struct {
	mu   sync.Mutex
	list map[string]offer
}

// add gives an offer its name. Asking again in the same boot gives
// the same name, and a machine has one offer, so that nobody fills the list.
func (o *offers) add(one offer, now time.Time) (token string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for t, old := range o.list {
		switch {
		case now.After(old.until):
			delete(o.list, t)
		case old.mac == one.mac && old.machine == one.machine && old.version == one.version:
			o.list[t] = one
			return t, true
		case old.mac == one.mac:
			delete(o.list, t) // of an earlier boot
		}
	}
	if len(o.list) >= maxOffers {
		return "", false
	}
	b := make([]byte, 16)
	rand.Read(b) // never fails
	token = hex.EncodeToString(b)
	o.list[token] = one
	return token, true
}

func (o *offers) get(token, mac string, now time.Time) (offer, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	one, ok := o.list[token]
	if !ok || one.mac != mac || now.After(one.until) {
		return offer{}, false
	}
	return one, true
}
