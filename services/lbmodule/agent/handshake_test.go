package agent

import (
	"fmt"
	"testing"

	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

func TestAnOfferBecomesAConnection(t *testing.T) {
	r := newRig(t)
	r.message(wire.MsgOffer, offer())
	syn := r.lastFrame()
	want := packet.TCPOptions{MSS: 1400, WScale: 7, SACKPermitted: true, Timestamps: true, TSval: 70}
	if syn.in.TCPFlags != packet.SYN || syn.in.Seq != 1000 || syn.in.Window != 502<<7 || syn.opts != want || syn.kind != Plain {
		t.Errorf("SYN is %+v", syn)
	}
	if len(r.sent) != 0 {
		t.Errorf("answered before the kernel did: %+v", r.sent)
	}
	r.synAck()
	m := r.lastSent(wire.MsgAccept)
	if r.sent[0].to != lb2 || m.Server != 7 || m.Role != wire.RoleServer || m.Sender != 7 || m.Boot != 99 || m.Epoch != 5 ||
		m.ClientISN != 1000 || m.ServerISN != 5000 || m.Secondary != 2 {
		t.Errorf("accept is %+v to %s", m, r.sent[0].to)
	}
	f := r.flows[tuple]
	if f.State != Pending || f.SeqDelta != 4700 || f.TSDelta != 800 || f.KernelTSval != 100 || f.WindowShift != 2 || f.KernelISN() != 300 ||
		f.Primary != 1 || f.Secondary != 2 || f.Egress == [4]byte{} || f.SourcePort < 49152 {
		t.Errorf("flow is %+v", f)
	}
	if again := r.lastFrame(); again.in != syn.in || again.opts != syn.opts {
		t.Errorf("the SYN that spoils the kernel's round-trip time is %+v", again)
	}
	r.message(wire.MsgCommit, offer())
	ack := r.lastFrame()
	if ack.kind != Handshake || ack.in.TCPFlags != packet.ACK || ack.in.Seq != 1001 || ack.in.Ack != 301 || ack.in.Window != 502 ||
		ack.opts.TSval != 70 || ack.opts.TSecr != 0 {
		t.Errorf("last ACK is %+v", ack)
	}
	if r.flows[tuple].State != Established || r.counted != 1 {
		t.Errorf("flow is %+v, %d counted", r.flows[tuple], r.counted)
	}
	r.tick(r.now + 10e9)
	if len(r.sent) != 1 || len(r.frames) != 3 { // SYN, its repetition, last ACK
		t.Errorf("%d messages and %d frames in all", len(r.sent), len(r.frames))
	}
}

// TestLossAndDoublingLeaveAConnection loses or doubles each step of the module's
// part of the handshake, alone, and checks that exactly one connection comes of it.
func TestLossAndDoublingLeaveAConnection(t *testing.T) {
	for _, step := range []string{"offer", "synack", "accept", "commit"} {
		for _, fault := range []string{"lost", "doubled", "late"} {
			t.Run(step+" "+fault, func(t *testing.T) {
				r := newRig(t)
				used := false
				// do does one step, with the fault if it is this step's first time.
				do := func(name string, f func()) {
					if name != step || used {
						f()
						return
					}
					used = true
					switch fault {
					case "doubled":
						f()
						f()
					case "late":
						r.tick(r.now + 30e6)
						f()
					}
				}
				accepts := 0
				for i := 0; i < 40 && r.flows[tuple].State != Established; i++ {
					if i%10 == 0 { // the secondary repeats its offer every 100 ms
						do("offer", func() { r.message(wire.MsgOffer, offer()) })
					}
					if len(r.frames) > 0 && i%15 == 0 { // and the kernel its SYN/ACK
						do("synack", r.synAck)
					}
					for ; accepts < len(r.sent); accepts++ {
						if r.sent[accepts].m.Type != wire.MsgAccept {
							continue
						}
						do("accept", func() { do("commit", func() { r.message(wire.MsgCommit, offer()) }) })
					}
					r.tick(r.now + 10e6)
				}
				if r.flows[tuple].State != Established {
					t.Fatalf("no connection; sent %+v", r.sent)
				}
				if r.counted != 1 || r.core.Counters().Accepted != 1 {
					t.Errorf("%d connections counted", r.counted)
				}
				syns, acks := 0, 0
				for _, f := range r.frames {
					switch f.in.TCPFlags {
					case packet.SYN:
						syns++
					case packet.ACK:
						acks++
					default:
						t.Errorf("injected flags %#x", f.in.TCPFlags)
					}
				}
				if syns != 2 || acks != 1 {
					t.Errorf("%d SYNs and %d ACKs for the kernel", syns, acks)
				}
			})
		}
	}
}

func TestAcceptsAreRepeatedUntilTheCommit(t *testing.T) {
	r := newRig(t)
	r.message(wire.MsgOffer, offer())
	r.synAck()
	var at, other []int64
	begun := r.now
	for seen := 0; r.now < begun+4e9; r.now += 1e6 {
		r.core.Tick(r.now)
		for ; seen < len(r.sent); seen++ {
			if ms := (r.now - begun) / 1e6; r.sent[seen].to == lb2 {
				at = append(at, ms)
			} else {
				other = append(other, ms)
			}
		}
	}
	// The other tracker is told when the one that made the offer may be gone.
	if got, want := fmt.Sprint(other), "[140 300 620 1260 2540]"; got != want {
		t.Errorf("accepts to the other tracker after %s ms, want %s", got, want)
	}
	if got, want := fmt.Sprint(at), "[0 20 60 140 300 620 1260 2540]"; got != want {
		t.Errorf("accepts after %s ms, want %s", got, want)
	}
	r.tick(begun + 12e9)
	if _, there := r.flows[tuple]; there || r.lastFrame().in.TCPFlags != packet.RST || r.lastFrame().in.Seq != 1001 {
		t.Errorf("not taken back: %+v", r.lastFrame())
	}
	if r.core.Counters().Abandoned != 1 {
		t.Error("not counted")
	}
}

func TestAClientsPacketCommitsAsWell(t *testing.T) {
	r := newRig(t)
	r.message(wire.MsgOffer, offer())
	r.synAck()
	r.socket = SocketLive
	f := r.flows[tuple]
	f.State = Established // by the data path
	r.flows[tuple] = f
	r.tick(r.now + 10e9)
	if len(r.sent) != 1 || len(r.frames) != 2 || r.flows[tuple].State != Established {
		t.Errorf("sent %+v, injected %+v", r.sent, r.frames)
	}
}

func TestTheKernelsRefusalIsAReject(t *testing.T) {
	full := packet.TCPOptions{MSS: 1432, WScale: 9, SACKPermitted: true, Timestamps: true, TSval: 100, TSecr: 70}
	for name, tc := range map[string]struct {
		answer func(r *rig)
		reason uint8
		resets int // of the kernel's socket
	}{
		"reset":         {func(r *rig) { r.kernel(packet.RST|packet.ACK, 0, 1001, nil) }, wire.RejectRST, 0},
		"silence":       {func(r *rig) { r.tick(r.now + 200e6) }, wire.RejectSilence, 1},
		"TIME_WAIT":     {func(r *rig) { r.kernel(packet.ACK, 300, 77, nil) }, wire.RejectTuple, 1},
		"no scale":      {func(r *rig) { o := full; o.WScale = packet.NoWScale; r.kernel(packet.SYN|packet.ACK, 300, 1001, &o) }, wire.RejectOptions, 1},
		"no SACK":       {func(r *rig) { o := full; o.SACKPermitted = false; r.kernel(packet.SYN|packet.ACK, 300, 1001, &o) }, wire.RejectOptions, 1},
		"no timestamps": {func(r *rig) { o := full; o.Timestamps = false; r.kernel(packet.SYN|packet.ACK, 300, 1001, &o) }, wire.RejectOptions, 1},
		"full map":      {func(r *rig) { r.bound = 0; r.synAck() }, wire.RejectConnections, 1},
	} {
		r := newRig(t)
		r.message(wire.MsgOffer, offer())
		tc.answer(r)
		m := r.lastSent(wire.MsgReject)
		if m.Reason != tc.reason || m.TTL != 2 || m.Offer != 0 || m.ServerISN != 5000 {
			t.Errorf("%s: %+v", name, m)
		}
		resets := 0
		for _, f := range r.frames {
			if f.in.TCPFlags == packet.RST {
				resets++
			}
		}
		if resets != tc.resets {
			t.Errorf("%s: %d resets for the kernel, want %d", name, resets, tc.resets)
		}
		// The same offer gets the same answer, whatever has changed since.
		r.bound = 100
		r.message(wire.MsgOffer, offer())
		if len(r.sent) != 2 || r.lastSent(wire.MsgReject).Reason != tc.reason || r.core.Counters().Rejected[tc.reason] != 1 {
			t.Errorf("%s: repeated offer: %+v", name, r.sent)
		}
		if len(r.flows) != 0 {
			t.Errorf("%s: a flow is left", name)
		}
	}
}

func TestOffersAreJudged(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(r *rig, m *wire.Tracker)
		reason  uint8
	}{
		"nothing against it":              {func(r *rig, m *wire.Tracker) {}, wire.RejectNone},
		"no endpoint":                     {func(r *rig, m *wire.Tracker) { m.Key.VIPPort = 91 }, wire.RejectEndpoint},
		"draining":                        {func(r *rig, m *wire.Tracker) { r.core.SetDraining(true) }, wire.RejectDraining},
		"live tuple":                      {func(r *rig, m *wire.Tracker) { r.socket = SocketLive }, wire.RejectTuple},
		"TIME_WAIT is not live":           {func(r *rig, m *wire.Tracker) { r.socket = SocketTimeWait }, wire.RejectNone},
		"busy":                            {func(r *rig, m *wire.Tracker) { r.refuse = wire.RejectCPU }, wire.RejectCPU},
		"busy, but rejected once":         {func(r *rig, m *wire.Tracker) { r.refuse = wire.RejectCPU; m.Offer = 1 }, wire.RejectCPU},
		"busy, but rejected twice (S-32)": {func(r *rig, m *wire.Tracker) { r.refuse = wire.RejectCPU; m.Offer = 2 }, wire.RejectNone},
		"busy, but the last (S-33)":       {func(r *rig, m *wire.Tracker) { r.refuse = wire.RejectCPU; m.Options |= wire.OptMustAccept }, wire.RejectNone},
		"the last, but draining":          {func(r *rig, m *wire.Tracker) { r.core.SetDraining(true); m.Options |= wire.OptMustAccept; m.Offer = 5 }, wire.RejectDraining},
		"the last, but live":              {func(r *rig, m *wire.Tracker) { r.socket = SocketLive; m.Options |= wire.OptMustAccept }, wire.RejectTuple},
	} {
		r := newRig(t)
		m := offer()
		tc.prepare(r, &m)
		r.message(wire.MsgOffer, m)
		if tc.reason == wire.RejectNone {
			if len(r.sent) != 0 || len(r.frames) != 1 {
				t.Errorf("%s: sent %+v", name, r.sent)
			}
			continue
		}
		if got := r.lastSent(wire.MsgReject).Reason; got != tc.reason || len(r.frames) != 0 {
			t.Errorf("%s: reason %d, %d frames", name, got, len(r.frames))
		}
	}
}

func TestASupersededOfferEndsSilently(t *testing.T) {
	for name, before := range map[string]func(r *rig){
		"offered":     func(r *rig) { r.message(wire.MsgOffer, offer()) },
		"accepted":    func(r *rig) { r.message(wire.MsgOffer, offer()); r.synAck() },
		"established": func(r *rig) { r.message(wire.MsgOffer, offer()); r.synAck(); r.message(wire.MsgCommit, offer()) },
	} {
		r := newRig(t)
		before(r)
		n := len(r.sent)
		other := offer()
		other.Offer = 1
		r.message(wire.MsgSuperseded, other)
		if r.lastFrame().in.TCPFlags == packet.RST {
			t.Errorf("%s: another offer's end ends this one", name)
		}
		r.message(wire.MsgSuperseded, offer())
		if len(r.flows) != 0 || len(r.sent) != n || r.lastFrame().in.TCPFlags != packet.RST || r.lastFrame().in.Seq != 1001 {
			t.Errorf("%s: flows %v, sent %+v, last frame %+v", name, r.flows, r.sent[n:], r.lastFrame())
		}
		frames := len(r.frames)
		r.message(wire.MsgOffer, offer()) // a late copy
		r.message(wire.MsgCommit, offer())
		r.tick(r.now + 5e9)
		if len(r.sent) != n || len(r.frames) != frames {
			t.Errorf("%s: a late copy revives it", name)
		}
	}
}

func TestASupersededOfferThatComesLaterIsNotTaken(t *testing.T) {
	r := newRig(t)
	r.message(wire.MsgSuperseded, offer())
	r.message(wire.MsgOffer, offer())
	if len(r.sent) != 0 || len(r.frames) != 0 {
		t.Errorf("sent %+v, injected %+v", r.sent, r.frames)
	}
}

func TestANewIncarnationReplacesWhatWasNeverCommitted(t *testing.T) {
	r := newRig(t)
	r.message(wire.MsgOffer, offer())
	r.synAck()
	again := offer()
	again.ClientISN, again.ServerISN = 9000, 8000
	r.message(wire.MsgOffer, again)
	if f := r.frames[len(r.frames)-2]; f.in.TCPFlags != packet.RST || f.in.Seq != 1001 {
		t.Errorf("the old one is not ended: %+v", f)
	}
	if f := r.lastFrame(); f.in.TCPFlags != packet.SYN || f.in.Seq != 9000 {
		t.Errorf("the new one is not begun: %+v", f)
	}
	n := len(r.frames)
	r.message(wire.MsgOffer, offer()) // a late copy of the old
	r.message(wire.MsgCommit, offer())
	if len(r.frames) != n || r.core.handshakes[tuple].offer.ClientISN != 9000 {
		t.Error("a late copy of the old one disturbs the new")
	}
}

func TestPortReuseTakesOverAClosedFlowsTuple(t *testing.T) {
	r := newRig(t)
	r.message(wire.MsgOffer, offer())
	r.synAck()
	r.message(wire.MsgCommit, offer())
	again := offer()
	again.ClientISN, again.ServerISN = 9000, 8000
	r.socket = SocketLive
	r.message(wire.MsgOffer, again)
	if r.lastSent(wire.MsgReject).Reason != wire.RejectTuple || r.flows[tuple].ClientISN != 1000 {
		t.Error("a live connection loses its tuple")
	}
	again.Offer = 1
	r.socket = SocketTimeWait
	r.message(wire.MsgOffer, again)
	r.kernel(packet.SYN|packet.ACK, 600, 9001, &packet.TCPOptions{MSS: 1432, WScale: 9, SACKPermitted: true, Timestamps: true, TSval: 100, TSecr: 70})
	if f := r.flows[tuple]; f.ClientISN != 9000 || f.KernelISN() != 600 {
		t.Errorf("flow is %+v", f)
	}
}

func TestARepeatedSynAckIsAnsweredLocally(t *testing.T) {
	r := newRig(t)
	r.message(wire.MsgOffer, offer())
	r.synAck()
	r.synAck()
	if len(r.frames) != 2 {
		t.Errorf("answered before the commit: %+v", r.frames)
	}
	r.message(wire.MsgCommit, offer())
	r.synAck()
	if f := r.lastFrame(); len(r.frames) != 4 || f.kind != Plain || f.in.TCPFlags != packet.ACK || f.in.Ack != 301 {
		t.Errorf("after the commit: %+v", r.frames)
	}
	f := r.flows[tuple]
	f.Flags |= FlagSpoken
	r.flows[tuple] = f
	r.synAck()
	if len(r.frames) != 4 {
		t.Error("a late copy is answered though the connection lives")
	}
	r.Delete(&tuple)
	r.synAck()
	if f := r.lastFrame(); f.in.TCPFlags != packet.RST || f.in.Seq != 1001 {
		t.Errorf("a SYN/ACK of nobody's is not ended: %+v", f)
	}
}

func TestAnAgentTakesOverWhatAnotherBegan(t *testing.T) {
	r := newRig(t)
	r.message(wire.MsgOffer, offer())
	r.synAck()
	r.sent, r.frames = nil, nil
	r.core = New(config(), r, r, r, r)
	r.core.Recover(r.now)
	r.core.Tick(r.now)
	m := r.lastSent(wire.MsgAccept)
	if r.sent[0].to != lb2 || m.ClientISN != 1000 || m.ServerISN != 5000 || m.Key != tuple {
		t.Errorf("accept is %+v", m)
	}
	r.message(wire.MsgCommit, offer())
	if f := r.lastFrame(); f.kind != Handshake || f.in.Ack != 301 || f.opts.TSecr != 0 || f.in.Window != 502 {
		t.Errorf("last ACK is %+v", f)
	}
	r.message(wire.MsgOffer, offer())
	if len(r.sent) != 2 || len(r.frames) != 1 {
		t.Errorf("a repeated offer after the commit: %+v", r.sent)
	}
}

func TestStrangersAreCountedAndIgnored(t *testing.T) {
	r := newRig(t)
	m := offer()
	m.Type = wire.MsgOffer
	r.from(lb1, m) // node 2's number from node 1's address
	m.Sender = 9
	r.from(lb2, m)
	m.Sender, m.Role = 2, wire.RoleServer
	r.from(lb2, m)
	r.message(wire.MsgMapped, offer())
	r.core.Frame(r.now, []byte{1, 2, 3})
	c := r.core.Counters()
	if len(r.sent)+len(r.frames) != 0 || c.UnknownSender != 3 || c.UnknownMessage != 1 || c.BadFrames != 1 {
		t.Errorf("sent %v, injected %v, counters %+v", r.sent, r.frames, c)
	}
}
