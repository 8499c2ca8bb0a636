package agent

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"weir/dataplane/wire"
)

const listHealthy = wire.ListedHealthy | wire.ListedEgress | wire.ListedTracker | wire.ListedIngress

// push brings a list of nodes to the core and returns its answer.
func (r *rig) push(l wire.NodeList) *wire.NodeListAck {
	r.t.Helper()
	from := r.core.nodes[l.Sender].Address
	l.Header = wire.Header{Type: wire.MsgNodeList, Role: wire.RoleNode, Sender: l.Sender, KeyID: r.core.cfg.Keys[0].ID}
	if l.Parts == 0 {
		l.Parts = 1
	}
	d := make([]byte, 2000)
	d = d[:wire.PutNodeList(d, &l, r.core.cfg.Keys[0].Key)]
	return r.list(netip.AddrPortFrom(from, 7777), d)
}

// list brings a datagram to UDP 6084 and returns the answer, if there is one.
func (r *rig) list(from netip.AddrPort, d []byte) *wire.NodeListAck {
	r.t.Helper()
	r.words = nil
	r.core.Datagram(r.now, from, bytes.Clone(d))
	if len(r.words) == 0 {
		return nil
	}
	w := r.words[0]
	var h wire.Header
	var a wire.NodeListAck
	if err := wire.Open(w.d, &h, r.core.cfg.Keys[0].Key); err != nil || wire.GetNodeListAck(w.d, &h, &a) != nil || w.to != from || w.from != wire.PortPing || h.Boot != 99 {
		r.t.Fatalf("the answer to %s from port %d: %v, %+v", w.to, w.from, err, h)
	}
	return &a
}

// pushFresh pushes a list as a checker does: it asks for a nonce first.
func (r *rig) pushFresh(checker uint16, nodes ...wire.ListedNode) {
	r.t.Helper()
	l := wire.NodeList{Header: wire.Header{Sender: checker}, Challenge: 5, Version: uint32(r.now), Nodes: nodes}
	l.Nonce = r.push(l).Nonce
	if a := r.push(l); a == nil || a.Version != l.Version || a.Challenge != 5 {
		r.t.Fatalf("the list of node %d is not taken: %+v", checker, a)
	}
}

func listed(number uint16, flags uint8) wire.ListedNode {
	return wire.ListedNode{Number: number, Flags: flags, Boot: 1000 + uint64(number)}
}

func TestAListCountsOnceAndWithTheNonceOfTheLastAnswer(t *testing.T) {
	r := newRig(t)
	l := wire.NodeList{Header: wire.Header{Sender: 1}, Challenge: 77, Version: 3, Nodes: []wire.ListedNode{listed(1, listHealthy), listed(2, 0)}}
	a := r.push(l)
	if a == nil || a.Version != 0 || a.Challenge != 77 || a.Nonce == 0 {
		t.Fatalf("the answer to a list without a nonce is %+v", a)
	}
	if !r.core.nodes[2].Egress {
		t.Fatal("a list without a nonce counts")
	}
	l.Nonce = a.Nonce
	b := r.push(l)
	if b == nil || b.Version != 3 || b.Nonce == a.Nonce || r.core.nodes[2].Egress {
		t.Fatalf("a list with the nonce: answer %+v, node 2 carries replies: %v", b, r.core.nodes[2].Egress)
	}
	taken := r.core.Counters().ListsTaken
	if c := r.push(l); c == nil || c.Version != 3 || c.Nonce != b.Nonce { // its answer was lost
		t.Errorf("the answer to a copy is %+v", c)
	}
	old := l
	old.Version, old.Nodes = 2, []wire.ListedNode{listed(1, 0), listed(2, listHealthy)}
	if c := r.push(old); c == nil || c.Version != 0 {
		t.Errorf("the answer to another list with an old nonce is %+v", c)
	}
	if r.core.Counters().ListsTaken != taken || r.core.nodes[2].Egress {
		t.Error("a copy counts again")
	}
}

func TestStrangersAndForgersCannotPushLists(t *testing.T) {
	r := newRig(t)
	l := wire.NodeList{Header: wire.Header{Type: wire.MsgNodeList, Role: wire.RoleNode, Sender: 1, KeyID: 3}, Version: 3, Parts: 1, Nodes: []wire.ListedNode{listed(1, listHealthy), listed(2, 0)}}
	sealed := func(change func(l *wire.NodeList), k wire.Key) []byte {
		c := l
		change(&c)
		d := make([]byte, 200)
		return d[:wire.PutNodeList(d, &c, k)]
	}
	same, key := func(*wire.NodeList) {}, r.core.cfg.Keys[0].Key
	good := sealed(same, key)
	flipped := bytes.Clone(good)
	flipped[70] ^= 1
	for what, c := range map[string]struct {
		from netip.Addr
		d    []byte
	}{
		"another key":     {lb1, sealed(same, wire.Key{K0: 9})},
		"a flipped bit":   {lb1, flipped},
		"another address": {lb2, good},
		"a server":        {lb1, sealed(func(l *wire.NodeList) { l.Role = wire.RoleServer }, key)},
		"an unknown key":  {lb1, sealed(func(l *wire.NodeList) { l.KeyID = 8 }, key)},
		"cut off":         {lb1, good[:50]},
		"no part of it":   {lb1, sealed(func(l *wire.NodeList) { l.Part = 1 }, key)},
	} {
		if a := r.list(netip.AddrPortFrom(c.from, 7777), c.d); a != nil {
			t.Errorf("%s: is answered with %+v", what, a)
		}
	}
	if a := r.list(netip.AddrPortFrom(lb1, 7777), good); a == nil {
		t.Error("the true one is not answered")
	}
}

func TestRepliesLeaveADeadNodeAtOnce(t *testing.T) {
	r := newRig(t)
	r.pushFresh(1, listed(1, listHealthy), listed(2, listHealthy))
	r.moved, r.routed = nil, nil
	r.now += 1e9
	r.pushFresh(1, listed(1, listHealthy), listed(2, 0))
	if len(r.moved) != 1 || r.moved[0].Number != 2 || r.moved[0].Egress || len(r.routed) == 0 {
		t.Errorf("the data path is told of %+v and %d slots", r.moved, len(r.routed))
	}
	for _, s := range r.routed {
		if s.Address != lb1 {
			t.Fatalf("a slot leads to %v", s.Address)
		}
	}
	if !slices.Equal(r.core.slots, EgressSlots(r.core.Nodes())) {
		t.Error("the agent and the data path disagree")
	}
}

func TestOneFreshListThatSaysSoMakesANodeUnhealthy(t *testing.T) {
	r := newRig(t)
	r.pushFresh(1, listed(1, listHealthy), listed(2, 0))
	r.now += 1e9
	r.pushFresh(2, listed(1, listHealthy), listed(2, listHealthy))
	if r.core.nodes[2].Egress {
		t.Error("the newer word overrules the bad one though both are fresh")
	}
	r.now += 2.5e9 // the first checker says no more
	r.pushFresh(2, listed(1, listHealthy), listed(2, listHealthy))
	if !r.core.nodes[2].Egress {
		t.Error("the word of a checker that fell silent counts for ever")
	}
	r.pushFresh(2, listed(1, 0), listed(2, 0))
	if !r.core.nodes[1].Egress || !r.core.nodes[2].Egress {
		t.Error("a list without any healthy node counts")
	}
	r.now += 60e9
	r.tick(r.now + 1e9)
	if r.core.nodes[2].Boot != 1002 || !r.core.nodes[2].Egress {
		t.Error("without a fresh list the last state does not stay")
	}
}

func TestListsTellBootsAndRolesAndSurviveAReload(t *testing.T) {
	r := newRig(t)
	r.pushFresh(1, listed(1, listHealthy), listed(2, wire.ListedHealthy|wire.ListedTracker))
	check := func(when string) {
		n1, n2 := r.core.nodes[1], r.core.nodes[2]
		if n1.Boot != 1001 || n2.Boot != 1002 || !n1.Egress || n2.Egress || !n1.Tracker || !n2.Tracker || r.core.ring.Len() != 2 {
			t.Errorf("%s: %+v, %+v", when, n1.Node, n2.Node)
		}
	}
	check("after the list")
	r.core.SetConfig(config())
	check("after a reload")
}

func TestAChangeInTheListsPublishesAtOnceButTheFirstListDoesNot(t *testing.T) {
	r := publishing(t, 3, 50)
	cfg := *r.core.cfg
	cfg.Nodes = slices.Clone(cfg.Nodes)
	for i := range cfg.Nodes {
		cfg.Nodes[i].Boot = 0
	}
	r.core = New(&cfg, r, r, r, r)
	r.core.Recover(r.now)
	r.core.publisher.next = 1e15
	all := []wire.ListedNode{listed(1, listHealthy), listed(2, listHealthy), listed(3, listHealthy)}
	for _, step := range []struct {
		what   string
		change func()
		copies int
	}{
		{"the first list", func() {}, 0},
		{"the same again", func() {}, 0},
		{"a node is dead", func() { all[2].Flags = 0 }, 2},
		{"it is back, without its memory", func() { all[2] = listed(3, listHealthy); all[2].Boot++ }, 2},
	} {
		step.change()
		r.now += 1e8
		r.pushFresh(1, all...)
		r.words = nil
		r.tick(r.now + 1e8)
		got, nodes := r.published()
		most := 0
		for _, n := range got {
			most = max(most, n)
		}
		if most != step.copies || nodes[cfg.Nodes[2].Address] > 0 && all[2].Flags == 0 {
			t.Errorf("%s: connections are published %d times at once, want %d; to %v", step.what, most, step.copies, nodes)
		}
	}
}

func TestKeysRotateWithoutALoss(t *testing.T) {
	r := newRig(t)
	before, after := r.core.cfg.Keys[0], wire.ControlKey{ID: 4, Key: wire.Key{K0: 9, K1: 8}}
	for i, keys := range [][]wire.ControlKey{{before}, {before, after}, {after, before}, {after}} {
		cfg := *r.core.cfg
		cfg.Keys = keys
		r.core.SetConfig(&cfg)
		for _, k := range keys { // nodes are at different steps
			m := offer()
			m.Key.ClientPort, m.KeyID = uint16(100*i)+uint16(k.ID), k.ID
			m.Type, m.Header.Seq, m.Boot = wire.MsgOffer, uint64(1000*i)+uint64(k.ID), 12
			var d [wire.TrackerSize]byte
			wire.PutTracker(d[:], &m, wire.PairKey(k.Key, r.node(lb2), r.self()))
			frames := len(r.frames)
			r.core.Datagram(r.now, netip.AddrPortFrom(lb2, wire.PortTracker), d[:])
			if len(r.frames) != frames+1 {
				t.Errorf("step %d: an offer under key %d is not taken", i, k.ID)
			}
		}
	}
	if n := r.core.Counters().NotAuthentic; n != 0 {
		t.Errorf("%d datagrams are refused", n)
	}
	m := offer() // the old key is gone
	m.KeyID, m.Type, m.Header.Seq, m.Boot = before.ID, wire.MsgOffer, 9999, 12
	var d [wire.TrackerSize]byte
	wire.PutTracker(d[:], &m, wire.PairKey(before.Key, r.node(lb2), r.self()))
	r.core.Datagram(r.now, netip.AddrPortFrom(lb2, wire.PortTracker), d[:])
	if r.core.Counters().NotAuthentic != 1 {
		t.Error("the old key still opens")
	}
}

func TestALongListComesInParts(t *testing.T) {
	r := publishing(t, 250, 0)
	var all []wire.ListedNode
	for _, p := range r.core.peers {
		flags := uint8(listHealthy)
		if p.Number%2 == 0 {
			flags = 0
		}
		all = append(all, listed(p.Number, flags))
	}
	l := wire.NodeList{Header: wire.Header{Sender: 1}, Version: 9, Parts: 3}
	l.Nonce = r.push(l).Nonce
	for _, part := range []int{2, 0, 0, 1} {
		if !r.core.nodes[2].Egress {
			t.Fatal("half a list counts")
		}
		l.Part, l.Nodes = uint8(part), all[part*wire.MaxListed:min(len(all), (part+1)*wire.MaxListed)]
		if a := r.push(l); a == nil || a.Version != 9 || a.Part != uint8(part) {
			t.Fatalf("part %d is answered with %+v", part, a)
		}
	}
	for _, p := range r.core.peers {
		if p.Egress != (p.Number%2 == 1) || p.Boot != 1000+uint64(p.Number) {
			t.Fatalf("%+v", p.Node)
		}
	}
	if !slices.Equal(r.core.slots, EgressSlots(r.core.Nodes())) {
		t.Error("the slots are not those of the nodes that are left")
	}
}

func TestSlotsFollowEveryChangeOfNodesAsIfMadeAnew(t *testing.T) {
	r := publishing(t, 50, 0)
	for step := range 200 {
		p := r.core.peers[step*37%50]
		p.Egress = !p.Egress
		if step%3 == 0 {
			r.core.peers[step*13%50].Egress = step%2 == 0
		}
		before := slices.Clone(r.core.slots)
		for _, s := range r.core.moveSlots() {
			before[s.Index] = s.Address
		}
		if want := EgressSlots(r.core.Nodes()); !slices.Equal(r.core.slots, want) || !slices.Equal(before, want) {
			t.Fatalf("step %d: the slots are wrong", step)
		}
	}
}

// S-75 with a thousand nodes: the list is merged and the slots are moved in a
// few milliseconds.
func BenchmarkALossAmongAThousandNodes(b *testing.B) {
	r := publishing(&testing.T{}, 250, 0)
	cfg := *r.core.cfg
	cfg.Nodes = nil
	for i := range 1000 {
		cfg.Nodes = append(cfg.Nodes, Node{Number: uint16(i + 1), Address: netip.AddrFrom4([4]byte{10, 20, byte(i >> 8), byte(i)}), Egress: true, Tracker: true, Seed: uint64(i)})
	}
	r.core.SetConfig(&cfg)
	k := &checker{at: r.now}
	r.core.checkers[1] = k
	for i := range 1000 {
		k.list = append(k.list, listed(uint16(i+1), listHealthy))
	}
	i := 0
	for b.Loop() {
		k.list[i%1000].Flags ^= listHealthy
		r.core.merge()
		i++
	}
}
