package api

import (
	"fmt"
	"net/netip"
	"testing"

	"google.golang.org/protobuf/proto"

	"weir/dataplane/flow"
	"weir/dataplane/lbnode"
	"weir/dataplane/wire"
)

func example() *lbnode.Config {
	return &lbnode.Config{
		Self: 1, Epoch: 77, FabricMTU: 1500, WScale: 7, HoldBytes: 32768, HoldPkts: 32, Lease: 100, Settled: true,
		Secrets: lbnode.Secrets{Control: []wire.ControlKey{{ID: 1, Key: wire.Key{K0: 1, K1: 2}}}, Cookie: []wire.Key{{K0: 3, K1: 4}}, Ring: flow.Seed{5, 6}, Ranking: flow.Seed{7, 8}, Steering: flow.Seed{9, 10}},
		Nodes:   []lbnode.Node{{Number: 1, ID: "lb1", Boot: 13, North: netip.MustParseAddr("10.10.0.11"), South: netip.MustParseAddr("10.20.0.11"), Tracker: true, Ingress: true, Egress: true, Seed: 11}},
		Servers: []lbnode.Server{{Number: 65534, ID: "srv1", Address: netip.MustParseAddr("10.20.0.101"), Weight: 100, Healthy: true, Dead: true, Boot: 14, Seed: 12}},
		Endpoints: []lbnode.Endpoint{{Name: "web", Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("2001:db8:100::10")},
			Proto: 6, PortFirst: 80, PortLast: 90, Servers: []uint16{65534}, TTL: 8, MustAccept: true, TryAll: true}},
		Addresses: [2][]netip.Addr{{netip.MustParseAddr("10.10.0.11"), netip.MustParseAddr("2001:db8:10::11")}, {netip.MustParseAddr("10.20.0.11")}},
	}
}

func TestAConfigurationSurvivesTheJourney(t *testing.T) {
	routers := []netip.Addr{netip.MustParseAddr("10.10.0.1")}
	s := NewDesiredState(example(), routers, true)
	b, err := proto.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var got DesiredState
	if err := proto.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	c, r, err := got.Config()
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%+v", c) != fmt.Sprintf("%+v", example()) || fmt.Sprint(r) != fmt.Sprint(routers) {
		t.Errorf("\n got %+v %v\nwant %+v", c, r, example())
	}
}

func TestTheGenerationChangesWithTheStateOnly(t *testing.T) {
	a, b := NewDesiredState(example(), nil, false), NewDesiredState(example(), nil, false)
	if a.Generation == "" || a.Generation != b.Generation {
		t.Errorf("%q and %q for one state", a.Generation, b.Generation)
	}
	c := example()
	c.Servers[0].Healthy = false
	if NewDesiredState(c, nil, false).Generation == a.Generation {
		t.Error("another state has the same generation")
	}
}

func TestAStateOutOfRangeIsRefusedWhole(t *testing.T) {
	for name, spoil := range map[string]func(*DesiredState){
		"number":  func(s *DesiredState) { s.Nodes[0].Number = 1 << 16 },
		"address": func(s *DesiredState) { s.Servers[0].Address = []byte{1, 2, 3} },
		"ttl":     func(s *DesiredState) { s.Endpoints[0].Ttl = 256 },
		"router":  func(s *DesiredState) { s.Routers = [][]byte{{}} },
	} {
		s := NewDesiredState(example(), nil, false)
		spoil(s)
		if c, _, err := s.Config(); err == nil || c != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
