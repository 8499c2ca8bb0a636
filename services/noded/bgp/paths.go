package bgp

import (
	"fmt"
	"net/netip"

	gobgp "github.com/osrg/gobgp/v3/api"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

var (
	ipv4Unicast = &gobgp.Family{Afi: gobgp.Family_AFI_IP, Safi: gobgp.Family_SAFI_UNICAST}
	ipv6Unicast = &gobgp.Family{Afi: gobgp.Family_AFI_IP6, Safi: gobgp.Family_SAFI_UNICAST}
)

// originIGP is ORIGIN's value for a route that its AS made (RFC 4271, 5.1.1).
const originIGP = 0

// route is the announcement of one prefix with the target as its next hop, a
// third-party one (RFC 4271, 5.1.3); false when the target has no address of
// the prefix's family.
func route(d *Desired, t *Target, prefix netip.Prefix) (*gobgp.Path, bool, error) {
	family, nextHop := ipv4Unicast, t.NextHop
	if prefix.Addr().Is6() {
		family, nextHop = ipv6Unicast, t.NextHop6
	}
	if !nextHop.IsValid() {
		return nil, false, nil
	}
	nlri, err := anypb.New(&gobgp.IPAddressPrefix{Prefix: prefix.Addr().String(), PrefixLen: uint32(prefix.Bits())})
	if err != nil {
		return nil, false, fmt.Errorf("announce %s: %w", prefix, err)
	}
	attributes := []proto.Message{&gobgp.OriginAttribute{Origin: originIGP}}
	if family == ipv6Unicast {
		// IPv6 has its next hop in the multiprotocol attribute (RFC 4760, 3), also on a session over IPv4.
		attributes = append(attributes, &gobgp.MpReachNLRIAttribute{Family: family, NextHops: []string{nextHop.String()}, Nlris: []*anypb.Any{nlri}})
	} else {
		attributes = append(attributes, &gobgp.NextHopAttribute{NextHop: nextHop.String()})
	}
	if d.LocalPref > 0 {
		attributes = append(attributes, &gobgp.LocalPrefAttribute{LocalPref: d.LocalPref})
	}
	if len(d.Communities) > 0 {
		list := make([]uint32, len(d.Communities))
		for i, c := range d.Communities {
			list[i] = uint32(c)
		}
		attributes = append(attributes, &gobgp.CommunitiesAttribute{Communities: list})
	}
	p := &gobgp.Path{Family: family, Nlri: nlri}
	for _, m := range attributes {
		a, err := anypb.New(m)
		if err != nil {
			return nil, false, fmt.Errorf("announce %s: %w", prefix, err)
		}
		p.Pattrs = append(p.Pattrs, a)
	}
	return p, true, nil
}

// neighbor is the session with one router.
func neighbor(d *Desired, t *Target, r *router) *gobgp.Peer {
	hold := uint64(d.HoldTime.Seconds())
	p := &gobgp.Peer{
		Conf: &gobgp.PeerConf{NeighborAddress: r.Address.String(), PeerAsn: r.ASN, AuthPassword: string(r.Password)},
		Timers: &gobgp.Timers{Config: &gobgp.TimersConfig{
			HoldTime: hold, KeepaliveInterval: hold / 3, // RFC 4271, 10
			ConnectRetry: 1, IdleHoldTimeAfterReset: 1, // seconds; the defaults wait for minutes
		}},
		Transport: &gobgp.Transport{LocalAddress: t.Source.String(), RemotePort: uint32(r.Port)},
		AfiSafis: []*gobgp.AfiSafi{
			{Config: &gobgp.AfiSafiConfig{Family: ipv4Unicast, Enabled: true}},
			{Config: &gobgp.AfiSafiConfig{Family: ipv6Unicast, Enabled: true}},
		},
	}
	if r.TTLSecurity {
		p.TtlSecurity = &gobgp.TtlSecurity{Enabled: true, TtlMin: 255} // RFC 5082, 3: routers are one hop away
	}
	return p
}
