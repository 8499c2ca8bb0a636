package health

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"weir/dataplane/wire"
)

// module is a fake module's end of the pushes.
type module struct {
	t     *testing.T
	p     *Pusher
	key   wire.Key
	nonce uint64
	sent  []wire.NodeList
}

func newModule(t *testing.T) *module {
	m := &module{t: t, key: wire.Key{K0: 3, K1: 4}, nonce: 100}
	m.p = NewPusher(1, rand.NewChaCha8([32]byte{}))
	m.p.Keys = []wire.ControlKey{{ID: 7, Key: m.key}}
	return m
}

// due runs the pusher and returns how many datagrams it sent.
func (m *module) due(now time.Duration) int {
	m.t.Helper()
	m.sent = nil
	m.p.Due(now, func(d []byte, to netip.AddrPort) {
		var l wire.NodeList
		if wire.Open(d, &l.Header, m.key) != nil || wire.GetNodeList(d, &l.Header, &l) != nil || to.String() != "10.20.0.101:6084" {
			m.t.Fatalf("a bad list to %s: %x", to, d)
		}
		m.sent = append(m.sent, l)
	})
	return len(m.sent)
}

// acknowledge answers every part that was sent, as an agent does.
func (m *module) acknowledge() {
	for _, l := range m.sent {
		a := wire.NodeListAck{Header: wire.Header{Role: wire.RoleServer, Sender: 1, Boot: 9}, Challenge: l.Challenge, Version: l.Version, Part: l.Part}
		if l.Nonce != m.nonce {
			a.Version = 0
		}
		m.nonce++
		a.Nonce = m.nonce
		if !m.p.Answer(&a) {
			m.t.Error("the answer is not taken")
		}
		if m.p.Answer(&wire.NodeListAck{Header: a.Header, Challenge: a.Challenge + 1}) {
			m.t.Error("an answer to another challenge is taken")
		}
	}
}

func nodes(n int) []wire.ListedNode {
	out := make([]wire.ListedNode, n)
	for i := range out {
		out[i].Number = uint16(i + 1)
	}
	return out
}

func TestAListIsPushedUntilItIsAcknowledgedAndAtOnceWhenItChanges(t *testing.T) {
	m := newModule(t)
	const tick = 25 * time.Millisecond
	now := time.Second
	m.p.Want(1, netip.MustParseAddr("10.20.0.101"))
	if m.due(now) != 0 {
		t.Fatal("sent before there is a list")
	}
	m.p.Set(nodes(3))
	if m.due(now) != 1 || m.sent[0].Nonce != 0 {
		t.Fatalf("sent %+v", m.sent)
	}
	m.acknowledge() // with a stale nonce
	if now += tick; m.due(now) != 1 || m.sent[0].Nonce != m.nonce || len(m.sent[0].Nodes) != 3 {
		t.Fatalf("after the first nonce: sent %+v", m.sent)
	}
	if now += tick; m.due(now) != 0 {
		t.Error("sent again at once")
	}
	if now += pushAgain; m.due(now) != 1 {
		t.Error("not sent again though nobody acknowledges")
	}
	m.acknowledge()
	if now += time.Hour; m.due(now) != 0 {
		t.Error("sent though it is acknowledged")
	}
	version := m.p.version
	m.p.Set(nodes(3))
	if m.due(now) != 0 {
		t.Error("the same list is pushed")
	}
	m.p.Set(nodes(2))
	if m.due(now) != 1 || m.sent[0].Version == version {
		t.Errorf("a changed list: sent %+v", m.sent)
	}
	m.acknowledge()
	m.p.Forget(1)
	m.p.Set(nodes(1))
	if m.due(now) != 0 {
		t.Error("pushed to a server that is not ours")
	}
}

func TestALongListTakesSeveralDatagrams(t *testing.T) {
	m := newModule(t)
	m.p.Want(1, netip.MustParseAddr("10.20.0.101"))
	m.p.Set(nodes(wire.MaxListed + 5))
	if m.due(time.Second) != 2 || len(m.sent[0].Nodes) != wire.MaxListed || len(m.sent[1].Nodes) != 5 {
		t.Fatalf("sent %+v", m.sent)
	}
	lost := m.sent[1]
	m.sent = m.sent[:1]
	m.nonce = 0
	m.acknowledge()
	if m.due(2*time.Second) != 1 || m.sent[0].Part != lost.Part {
		t.Errorf("not only the part that is missing: %+v", m.sent)
	}
}
