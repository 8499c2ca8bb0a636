package bgp

import (
	"net/netip"
	"slices"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"

	"weir/services/config"
)

// perUpdate is how many prefixes one UPDATE carries: an IPv6 host route takes 17
// bytes, and a message at most 4096.
const perUpdate = 200

// routes are what a session announces: prefixes with a third-party next hop
// (RFC 4271, 5.1.3). They are immutable.
type routes struct {
	prefixes    []netip.Prefix
	nextHop     netip.Addr
	nextHop6    netip.Addr // invalid: no IPv6 prefixes
	localPref   uint32
	communities []config.Community
}

// newRoutes are the routes of a target: those whose family it has an address of.
func newRoutes(d *Desired, t *Target) *routes {
	r := &routes{nextHop: t.NextHop, nextHop6: t.NextHop6, localPref: d.LocalPref, communities: d.Communities}
	for _, p := range d.Prefixes {
		if p.Addr().Is4() || t.NextHop6.IsValid() {
			r.prefixes = append(r.prefixes, p)
		}
	}
	return r
}

// alike reports whether the same prefix is announced in the same way by both.
func (r *routes) alike(o *routes) bool {
	return r.nextHop == o.nextHop && r.nextHop6 == o.nextHop6 && r.localPref == o.localPref && slices.Equal(r.communities, o.communities)
}

// updates are the messages that turn what was sent into what shall be announced.
func updates(sent, want *routes, internal bool, path []bgp.AsPathParamInterface) []*bgp.BGPMessage {
	var out []*bgp.BGPMessage
	gone, fresh := []netip.Prefix(nil), want.prefixes
	if sent != nil {
		gone = without(sent.prefixes, want.prefixes)
		if sent.alike(want) {
			fresh = without(want.prefixes, sent.prefixes)
		}
	}
	for _, v6 := range []bool{false, true} {
		for part := range slices.Chunk(family(gone, v6), perUpdate) {
			out = append(out, withdrawal(part, v6))
		}
		for part := range slices.Chunk(family(fresh, v6), perUpdate) {
			out = append(out, want.announcement(part, v6, internal, path))
		}
	}
	return out
}

func without(all, minus []netip.Prefix) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(all), func(p netip.Prefix) bool { return slices.Contains(minus, p) })
}

func family(all []netip.Prefix, v6 bool) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(all), func(p netip.Prefix) bool { return p.Addr().Is6() != v6 })
}

func nlri4(all []netip.Prefix) []*bgp.IPAddrPrefix {
	var out []*bgp.IPAddrPrefix
	for _, p := range all {
		out = append(out, bgp.NewIPAddrPrefix(uint8(p.Bits()), p.Addr().String()))
	}
	return out
}

func nlri6(all []netip.Prefix) []bgp.AddrPrefixInterface {
	var out []bgp.AddrPrefixInterface
	for _, p := range all {
		out = append(out, bgp.NewIPv6AddrPrefix(uint8(p.Bits()), p.Addr().String()))
	}
	return out
}

func withdrawal(part []netip.Prefix, v6 bool) *bgp.BGPMessage {
	if v6 {
		return bgp.NewBGPUpdateMessage(nil, []bgp.PathAttributeInterface{bgp.NewPathAttributeMpUnreachNLRI(nlri6(part))}, nil)
	}
	return bgp.NewBGPUpdateMessage(nlri4(part), nil, nil)
}

// announcement is one UPDATE. IPv6 has its next hop in the multiprotocol
// attribute (RFC 4760, 3), also on a session over IPv4. LOCAL_PREF is for our
// own AS only (RFC 4271, 5.1.5).
func (r *routes) announcement(part []netip.Prefix, v6, internal bool, path []bgp.AsPathParamInterface) *bgp.BGPMessage {
	attributes := []bgp.PathAttributeInterface{bgp.NewPathAttributeOrigin(bgp.BGP_ORIGIN_ATTR_TYPE_IGP), bgp.NewPathAttributeAsPath(path)}
	if !v6 {
		attributes = append(attributes, bgp.NewPathAttributeNextHop(r.nextHop.String()))
	}
	if internal {
		attributes = append(attributes, bgp.NewPathAttributeLocalPref(r.localPref))
	}
	if len(r.communities) > 0 {
		list := make([]uint32, len(r.communities))
		for i, c := range r.communities {
			list[i] = uint32(c)
		}
		attributes = append(attributes, bgp.NewPathAttributeCommunities(list))
	}
	if v6 {
		attributes = append(attributes, bgp.NewPathAttributeMpReachNLRI(r.nextHop6.String(), nlri6(part)))
		return bgp.NewBGPUpdateMessage(nil, attributes, nil)
	}
	return bgp.NewBGPUpdateMessage(nil, attributes, nlri4(part))
}

// asPath is the path of our routes: our AS, or nothing towards a router of our
// own. A router that does not know AS numbers of four octets gets two (RFC 6793, 4.2.2).
func asPath(asn uint32, r *config.Router, theirs *bgp.BGPOpen) []bgp.AsPathParamInterface {
	if asn == r.ASN {
		return nil
	}
	for _, p := range theirs.OptParams {
		c, ok := p.(*bgp.OptionParameterCapability)
		if ok && slices.ContainsFunc(c.Capability, func(c bgp.ParameterCapabilityInterface) bool { return c.Code() == bgp.BGP_CAP_FOUR_OCTET_AS_NUMBER }) {
			return []bgp.AsPathParamInterface{bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, []uint32{asn})}
		}
	}
	as := uint16(bgp.AS_TRANS)
	if asn < 1<<16 {
		as = uint16(asn)
	}
	return []bgp.AsPathParamInterface{bgp.NewAsPathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, []uint16{as})}
}
