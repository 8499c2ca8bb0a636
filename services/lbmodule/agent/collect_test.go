package agent

import (
	"net/netip"
	"testing"

	"weir/dataplane/wire"
)

func TestFlowsWithoutASocketAreCollected(t *testing.T) {
	for name, tc := range map[string]struct {
		socket SocketState
		idle   int64
		stays  bool
	}{
		"socket gone":               {SocketNone, 20e9, false},
		"socket gone, packets come": {SocketNone, 0, true},
		"idle connection":           {SocketLive, 3600e9, true},
		"TIME_WAIT":                 {SocketTimeWait, 30e9, true},
		"accept queue":              {SocketOpening, 30e9, true},
	} {
		r := newRig(t)
		r.now = 1e13
		k := tuple
		f := Flow{State: Established, LastSeen: r.now - tc.idle}
		if err := r.Put(&k, &f); err != nil {
			t.Fatal(err)
		}
		r.socket = tc.socket
		r.tick(r.now + 3e9)
		if _, there := r.flows[k]; there != tc.stays {
			t.Errorf("%s: there is %v", name, there)
		}
	}
}

func TestConnectionsAreCounted(t *testing.T) {
	r := newRig(t)
	for i := range uint16(10) {
		k := tuple
		k.ClientPort = i
		f := Flow{State: Established, LastSeen: r.now}
		if i < 3 {
			f.Flags = FlagClientFIN | FlagServerFIN
		}
		if err := r.Put(&k, &f); err != nil {
			t.Fatal(err)
		}
	}
	r.socket = SocketLive
	r.tick(r.now + 2e9)
	if n := r.core.Established(); n != 7 {
		t.Errorf("%d established connections, want 7", n)
	}
	r.socket = SocketNone
	r.message(wire.MsgOffer, offer())
	r.synAck()
	if n := r.core.Established(); n != 8 {
		t.Errorf("%d with one accepted since, want 8", n)
	}
}

func TestAFullMapGivesUpWhatHasClosed(t *testing.T) {
	r := newRig(t)
	r.bound = 3
	for i := range uint16(3) {
		k := tuple
		k.ClientPort = i
		f := Flow{State: Established, LastSeen: r.now}
		if i == 1 {
			f.Flags = FlagClientFIN | FlagServerFIN
		}
		if err := r.Put(&k, &f); err != nil {
			t.Fatal(err)
		}
	}
	r.tick(r.now + 2e9)
	r.socket = SocketTimeWait
	r.message(wire.MsgOffer, offer())
	r.synAck()
	r.lastSent(wire.MsgAccept)
	closed := tuple
	closed.ClientPort = 1
	if _, there := r.flows[closed]; there || len(r.flows) != 3 || r.core.Counters().Evicted != 1 {
		t.Errorf("flows are %v", r.flows)
	}
	more := offer()
	more.Key.ClientPort = 9
	r.message(wire.MsgOffer, more)
	if len(r.flows) != 3 {
		t.Error("an established connection was evicted")
	}
}

func TestStraysAreAnsweredWithinBounds(t *testing.T) {
	r := newRig(t)
	s := Stray{Key: tuple, From: lb1, Seq: 1, Ack: 2, Flags: 16}
	for range 5000 {
		r.core.Stray(r.now, &s)
	}
	if n := len(r.sent); n != notHereRate/10 {
		t.Errorf("%d answers at once, want %d", n, notHereRate/10)
	}
	m := r.lastSent(wire.MsgNotHere)
	if r.sent[0].to != lb1 || m.Key != tuple || m.Seq != 1 || m.Ack != 2 || m.TCPFlags != 16 || m.Server != 7 {
		t.Errorf("answer is %+v", m)
	}
	if c := r.core.Counters(); c.NotHere+c.NotHereLimited != 5000 {
		t.Errorf("counters are %+v", c)
	}
}

func TestALostEgressNodeMovesOnlyItsOwnSlots(t *testing.T) {
	nodes := []Node{}
	for i := range 5 {
		nodes = append(nodes, Node{Number: uint16(i + 1), Address: netip.AddrFrom4([4]byte{10, 20, 0, byte(11 + i)}), Egress: true})
	}
	before := EgressSlots(nodes)
	lost := nodes[2].Address
	nodes[2].Egress = false
	moved := 0
	for i, a := range EgressSlots(nodes) {
		if a == lost || a != before[i] && before[i] != lost {
			t.Fatalf("slot %d went from %s to %s", i, before[i], a)
		}
		if a != before[i] {
			moved++
		}
	}
	if moved == 0 {
		t.Error("nothing moved")
	}
	for _, a := range EgressSlots(nil) {
		if a.IsValid() {
			t.Fatal("an egress node without nodes")
		}
	}
}

// A packet of the tuple's last life must not make an ingress purge its next.
func TestStrayOfATupleThatIsTakenUpAgainIsNotAnswered(t *testing.T) {
	r := newRig(t)
	late := Stray{Key: tuple, From: lb1, Seq: 1, Ack: 2, Flags: 16}
	r.message(wire.MsgOffer, offer())
	r.core.Stray(r.now, &late)
	r.synAck()
	r.core.Stray(r.now, &late)
	r.message(wire.MsgCommit, offer())
	r.core.Stray(r.now, &late)
	for _, s := range r.sent {
		if s.m.Type == wire.MsgNotHere {
			t.Fatal("an owned flow was denied")
		}
	}
	r.Delete(&tuple)
	r.now += 1e9
	r.core.Stray(r.now, &late)
	r.lastSent(wire.MsgNotHere)
}

func TestTheEndOfASocketIsTheEndOfItsFlowUnlessTimeWaitIsLeft(t *testing.T) {
	for name, tc := range map[string]struct {
		state  State
		socket SocketState
		stays  bool
	}{
		"gone":                {Established, SocketNone, false},
		"TIME_WAIT":           {Established, SocketTimeWait, true},
		"another of the same": {Established, SocketLive, true},
		"not committed":       {Pending, SocketNone, true},
	} {
		r := newRig(t)
		k := tuple
		if err := r.Put(&k, &Flow{State: tc.state, LastSeen: r.now}); err != nil {
			t.Fatal(err)
		}
		r.socket = tc.socket
		r.core.Destroyed(&k)
		if _, there := r.flows[k]; there != tc.stays {
			t.Errorf("%s: there is %v", name, there)
		}
	}
}
