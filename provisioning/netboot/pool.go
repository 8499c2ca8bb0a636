package netboot

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// offeredFor is how long an address waits for who was offered it; declinedFor how
// long one that somebody else uses is not given out.
const (
	offeredFor  = time.Minute
	declinedFor = 10 * time.Minute
)

// Network is what clients are told of the network.
type Network struct {
	Prefix netip.Prefix
	Router netip.Addr // invalid: none
	DNS    []netip.Addr
}

// options adds them; lease 0: no address is given.
func (n Network) options(r *dhcpv4.DHCPv4, lease time.Duration) {
	r.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(n.Prefix.Bits(), 32)))
	if n.Router.IsValid() {
		r.UpdateOption(dhcpv4.OptRouter(n.Router.AsSlice()))
	}
	var dns []net.IP
	for _, a := range n.DNS {
		dns = append(dns, a.AsSlice())
	}
	if len(dns) > 0 {
		r.UpdateOption(dhcpv4.OptDNS(dns...))
	}
	if lease > 0 {
		r.UpdateOption(dhcpv4.OptIPAddressLeaseTime(lease))
	}
}

// Lease is an address and who has it. A machine is its MAC address, whatever
// client identifier it sends: firmware, iPXE and the system of one machine send
// different ones, and are to get the same address.
type Lease struct {
	MAC     [6]byte
	Address netip.Addr
	Ends    time.Time // zero: there is no lease any more
}

// HardwareAddr is the lease's MAC address.
func (l Lease) HardwareAddr() net.HardwareAddr { return bytes.Clone(l.MAC[:]) }

// Pool are the addresses and their leases: as many as there are addresses.
type Pool struct {
	First, Last netip.Addr
	Duration    time.Duration
	reserved    map[[6]byte]netip.Addr
	kept        map[netip.Addr]bool // reserved for somebody
	byMAC       map[[6]byte]*entry
	byAddress   map[netip.Addr]*entry
	declined    map[netip.Addr]time.Time
	next        netip.Addr // all before it have an entry, or are declined or reserved
}

type entry struct {
	Lease
	offered bool // and not taken yet
}

// NewPool is a pool in which some addresses are reserved, with the leases that
// were kept; those that do not belong here any more are left out.
func NewPool(first, last netip.Addr, duration time.Duration, reserved map[[6]byte]netip.Addr, kept []Lease) *Pool {
	p := &Pool{First: first, Last: last, Duration: duration, reserved: reserved, kept: map[netip.Addr]bool{},
		byMAC: map[[6]byte]*entry{}, byAddress: map[netip.Addr]*entry{}, declined: map[netip.Addr]time.Time{}, next: first}
	for _, a := range reserved {
		p.kept[a] = true
	}
	for _, l := range kept {
		if p.mayHave(l.MAC, l.Address) && p.byMAC[l.MAC] == nil && p.byAddress[l.Address] == nil {
			p.set(&entry{Lease: l})
		}
	}
	return p
}

// mayHave reports whether a machine may have an address at all.
func (p *Pool) mayHave(mac [6]byte, a netip.Addr) bool {
	if own, ok := p.reserved[mac]; ok {
		return a == own
	}
	return p.inside(a)
}

// inside reports whether an address is in the pool, and nobody's.
func (p *Pool) inside(a netip.Addr) bool {
	return a.Is4() && !a.Less(p.First) && !p.Last.Less(a) && !p.kept[a]
}

// set makes an entry the only one of its machine and of its address.
func (p *Pool) set(e *entry) {
	if old := p.byAddress[e.Address]; old != nil {
		delete(p.byMAC, old.MAC)
	}
	if old := p.byMAC[e.MAC]; old != nil {
		p.drop(old)
	}
	p.byMAC[e.MAC], p.byAddress[e.Address] = e, e
}

// drop takes an entry out; its address is nobody's then.
func (p *Pool) drop(e *entry) {
	delete(p.byMAC, e.MAC)
	delete(p.byAddress, e.Address)
	if e.Address.Less(p.next) && p.inside(e.Address) {
		p.next = e.Address
	}
}

// Offer finds an address for a machine: its reserved one, the one that it has or
// had, the one that it wishes, one that was never used, or the one that was given
// back longest ago.
func (p *Pool) Offer(hw net.HardwareAddr, wish netip.Addr, now time.Time) (netip.Addr, bool) {
	mac := [6]byte(hw)
	if e := p.byMAC[mac]; e != nil && p.mayHave(mac, e.Address) {
		if e.offered || !now.Before(e.Ends) {
			e.offered, e.Ends = true, now.Add(offeredFor)
		}
		return e.Address, true
	}
	a, ok := p.reserved[mac]
	if !ok {
		if a, ok = wish, p.free(wish, now); !ok {
			a, ok = p.find(now)
		}
	}
	if !ok {
		return a, false
	}
	p.set(&entry{Lease{mac, a, now.Add(offeredFor)}, true})
	return a, true
}

// free reports whether an address may be given to anybody.
func (p *Pool) free(a netip.Addr, now time.Time) bool {
	e := p.byAddress[a]
	return p.inside(a) && now.After(p.declined[a]) && (e == nil || now.After(e.Ends))
}

// find looks for a free address.
func (p *Pool) find(now time.Time) (netip.Addr, bool) {
	for ; !p.Last.Less(p.next); p.next = p.next.Next() {
		if p.free(p.next, now) && p.byAddress[p.next] == nil {
			return p.next, true
		}
	}
	var best *entry
	for _, e := range p.byAddress {
		if p.free(e.Address, now) && (best == nil || e.Ends.Before(best.Ends)) {
			best = e
		}
	}
	if best != nil {
		return best.Address, true
	}
	for a, until := range p.declined {
		if now.After(until) && p.free(a, now) {
			delete(p.declined, a)
			return a, true
		}
	}
	return netip.Addr{}, false
}

type verdict int

const (
	grant verdict = iota
	deny
	silent
)

// Request binds an address that was offered (chosen), or that the machine has.
func (p *Pool) Request(hw net.HardwareAddr, a netip.Addr, chosen bool, now time.Time) (Lease, verdict) {
	mac := [6]byte(hw)
	e := p.byMAC[mac]
	switch {
	case e == nil && (chosen || !p.inside(a) && !p.kept[a]):
		return Lease{}, deny // an offer that we have forgotten, or an address of another network
	case e == nil:
		return Lease{}, silent // RFC 2131, 4.3.2: without a record of the client
	case e.Address != a || !p.mayHave(mac, a):
		return Lease{}, deny
	}
	e.offered, e.Ends = false, now.Add(p.Duration)
	return e.Lease, grant
}

// Forget takes back an offer that was not chosen.
func (p *Pool) Forget(hw net.HardwareAddr, now time.Time) {
	if e := p.byMAC[[6]byte(hw)]; e != nil && e.offered {
		e.Ends = now
	}
}

// Release ends a lease; the address stays the machine's until somebody needs it.
func (p *Pool) Release(hw net.HardwareAddr, a netip.Addr, now time.Time) []Lease {
	e := p.byMAC[[6]byte(hw)]
	if e == nil || e.Address != a || e.offered {
		return nil
	}
	e.Ends = now
	return []Lease{e.Lease}
}

// Decline takes an address out of use for a while.
func (p *Pool) Decline(hw net.HardwareAddr, a netip.Addr, now time.Time) []Lease {
	e := p.byMAC[[6]byte(hw)]
	if e == nil || e.Address != a {
		return nil
	}
	p.drop(e)
	if p.inside(a) {
		p.declined[a] = now.Add(declinedFor)
	}
	return []Lease{{MAC: e.MAC, Address: a}}
}

// Holder is the machine that has an address now, or was offered it.
func (p *Pool) Holder(a netip.Addr, now time.Time) (net.HardwareAddr, bool) {
	if e := p.byAddress[a]; e != nil && now.Before(e.Ends) {
		return e.HardwareAddr(), true
	}
	return nil, false
}

// addressOf is an address of a message; invalid if there is none.
func addressOf(ip net.IP) netip.Addr {
	if b := ip.To4(); b != nil && binary.BigEndian.Uint32(b) != 0 {
		return netip.AddrFrom4([4]byte(b))
	}
	return netip.Addr{}
}
