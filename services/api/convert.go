package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"

	"google.golang.org/protobuf/proto"

	"weir/dataplane/flow"
	"weir/dataplane/lbnode"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// NewDesiredState is the message form of a configuration and the routers whose
// MACs it needs. What only the machine knows is left out. announced says that
// this node's neighbours announce it.
func NewDesiredState(c *lbnode.Config, routers []netip.Addr, announced bool) *DesiredState {
	s := &DesiredState{
		Self:  uint32(c.Self),
		Epoch: c.Epoch,
		Secrets: &Secrets{
			Ring:     &Words{W0: c.Secrets.Ring[0], W1: c.Secrets.Ring[1]},
			Ranking:  &Words{W0: c.Secrets.Ranking[0], W1: c.Secrets.Ranking[1]},
			Steering: &Words{W0: c.Secrets.Steering[0], W1: c.Secrets.Steering[1]},
		},
		NorthAddresses: fromAddrs(c.Addresses[packet.North]),
		SouthAddresses: fromAddrs(c.Addresses[packet.South]),
		Routers:        fromAddrs(routers),
		FabricMtu:      uint32(c.FabricMTU),
		WindowScale:    uint32(c.WScale),
		HoldBytes:      c.HoldBytes,
		HoldPackets:    uint32(c.HoldPkts),
		Lease:          c.Lease,
		Settled:        c.Settled,
		Announced:      announced,
	}
	for _, k := range c.Secrets.Control {
		s.Secrets.Control = append(s.Secrets.Control, &ControlKey{Id: k.ID, Key: &Words{W0: k.K0, W1: k.K1}})
	}
	for _, k := range c.Secrets.Cookie {
		s.Secrets.Cookie = append(s.Secrets.Cookie, &Words{W0: k.K0, W1: k.K1})
	}
	for _, n := range c.Nodes {
		s.Nodes = append(s.Nodes, &Node{Number: uint32(n.Number), Id: n.ID, South: n.South.AsSlice(), Tracker: n.Tracker, Ingress: n.Ingress, Egress: n.Egress, Seed: n.Seed,
			Boot: n.Boot, North: n.North.AsSlice()})
	}
	for _, v := range c.Servers {
		s.Servers = append(s.Servers, &Server{Number: uint32(v.Number), Id: v.ID, Address: v.Address.AsSlice(), Weight: v.Weight, Healthy: v.Healthy, Seed: v.Seed,
			Boot: v.Boot, Dead: v.Dead})
	}
	for _, e := range c.Endpoints {
		p := &Endpoint{Name: e.Name, Addresses: fromAddrs(e.Addresses), Protocol: uint32(e.Proto), PortFirst: uint32(e.PortFirst), PortLast: uint32(e.PortLast),
			Ttl: uint32(e.TTL), MustAccept: e.MustAccept, TryAll: e.TryAll}
		for _, n := range e.Servers {
			p.Servers = append(p.Servers, uint32(n))
		}
		s.Endpoints = append(s.Endpoints, p)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(s)
	if err != nil {
		panic("api: " + err.Error()) // only text that is not UTF-8 fails, and ids are plain
	}
	sum := sha256.Sum256(b)
	s.Generation = hex.EncodeToString(sum[:8])
	return s
}

// Config is the configuration that the message carries, and its routers. What
// is out of range is an error: nothing of it may be applied then.
func (s *DesiredState) Config() (*lbnode.Config, []netip.Addr, error) {
	r := &reader{}
	secrets := s.GetSecrets()
	c := &lbnode.Config{
		Self:  r.u16("self", s.Self),
		Epoch: s.Epoch,
		Secrets: lbnode.Secrets{
			Ring:     seed(secrets.GetRing()),
			Ranking:  seed(secrets.GetRanking()),
			Steering: seed(secrets.GetSteering()),
		},
		FabricMTU: r.u16("fabric_mtu", s.FabricMtu),
		WScale:    r.u8("window_scale", s.WindowScale),
		HoldBytes: s.HoldBytes,
		HoldPkts:  r.u16("hold_packets", s.HoldPackets),
		Lease:     s.Lease,
		Settled:   s.Settled,
	}
	c.Addresses[packet.North] = r.addrs("north_addresses", s.NorthAddresses)
	c.Addresses[packet.South] = r.addrs("south_addresses", s.SouthAddresses)
	for _, n := range s.Nodes {
		c.Nodes = append(c.Nodes, lbnode.Node{Number: r.u16("node number", n.Number), ID: n.Id, South: r.addr("node south", n.South),
			Tracker: n.Tracker, Ingress: n.Ingress, Egress: n.Egress, Seed: n.Seed,
			Boot: n.Boot, North: r.addr("node north", n.North)})
	}
	for _, v := range s.Servers {
		c.Servers = append(c.Servers, lbnode.Server{Number: r.u16("server number", v.Number), ID: v.Id, Address: r.addr("server address", v.Address),
			Weight: v.Weight, Healthy: v.Healthy, Seed: v.Seed, Boot: v.Boot, Dead: v.Dead})
	}
	for _, k := range secrets.GetControl() {
		c.Secrets.Control = append(c.Secrets.Control, wire.ControlKey{ID: k.Id, Key: key(k.Key)})
	}
	for _, k := range secrets.GetCookie() {
		c.Secrets.Cookie = append(c.Secrets.Cookie, key(k))
	}
	if len(c.Secrets.Control) == 0 || len(c.Secrets.Cookie) == 0 {
		return nil, nil, errors.New("desired state: no keys")
	}
	for _, e := range s.Endpoints {
		p := lbnode.Endpoint{Name: e.Name, Addresses: r.addrs("endpoint addresses", e.Addresses), Proto: r.u8("endpoint protocol", e.Protocol),
			PortFirst: r.u16("endpoint port", e.PortFirst), PortLast: r.u16("endpoint port", e.PortLast), TTL: r.u8("endpoint ttl", e.Ttl),
			MustAccept: e.MustAccept, TryAll: e.TryAll}
		for _, n := range e.Servers {
			p.Servers = append(p.Servers, r.u16("endpoint server", n))
		}
		c.Endpoints = append(c.Endpoints, p)
	}
	routers := r.addrs("routers", s.Routers)
	if r.err != nil {
		return nil, nil, r.err
	}
	return c, routers, nil
}

// reader narrows numbers and remembers the first that does not fit.
type reader struct{ err error }

func (r *reader) fail(what string, v any) {
	if r.err == nil {
		r.err = fmt.Errorf("desired state: %s %v is out of range", what, v)
	}
}

func (r *reader) u16(what string, v uint32) uint16 {
	if v > 0xffff {
		r.fail(what, v)
	}
	return uint16(v)
}

func (r *reader) u8(what string, v uint32) uint8 {
	if v > 0xff {
		r.fail(what, v)
	}
	return uint8(v)
}

func (r *reader) addr(what string, b []byte) netip.Addr {
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		r.fail(what, b)
	}
	return a
}

func (r *reader) addrs(what string, list [][]byte) []netip.Addr {
	var out []netip.Addr
	for _, b := range list {
		out = append(out, r.addr(what, b))
	}
	return out
}

func key(w *Words) wire.Key { return wire.Key{K0: w.GetW0(), K1: w.GetW1()} }

func seed(w *Words) flow.Seed { return flow.Seed{w.GetW0(), w.GetW1()} }

func fromAddrs(list []netip.Addr) [][]byte {
	var out [][]byte
	for _, a := range list {
		out = append(out, a.AsSlice())
	}
	return out
}
