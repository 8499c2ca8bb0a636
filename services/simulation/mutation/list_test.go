package mutation

// Who has to notice.
var (
	ordeals = detector{"simulation", "TestNoConnectionIsLostInAnOrdeal"}
	explore = detector{"exploration", "TestNoFaultBreaksAConnection"}
)

// mutations are the rules that are broken.
var mutations = []mutation{
	{"publishing is off", "services/lbmodule/agent/publish.go",
		"interval := int64(c.cfg.Publish)", "interval := int64(0)", ordeals},
	{"the primary is not told what the secondary committed", "dataplane/lbnode/commit.go",
		"		w.tellMapped(p, m, e)\n	case e.Flags", "		w.announceCommit(m, e)\n	case e.Flags", explore},
	{"a lease is not renewed", "dataplane/lbnode/publish.go",
		"	e.Renewed = w.tick32()\n", "	if e.Renewed == 0 {\n		e.Renewed = w.tick32()\n	}\n", ordeals},
	{"the delta of sequence numbers is off by one", "services/lbmodule/agent/handshake.go",
		"m.ServerISN - in.Seq,", "m.ServerISN - in.Seq + 1,", explore},
	{"the incarnation is ignored", "dataplane/lbnode/commit.go",
		"return e.ClientISN == m.ClientISN && e.ServerISN == m.ServerISN", "return e.Server == e.Server || m == nil", reuse},
	{"\"not here\" is off", "services/lbmodule/agent/stray.go",
		"	c.counters.NotHere++\n", "	c.counters.NotHere++\n	return\n", detector{"simulation", "TestAFlowThatItsServerHasForgotten"}},
	{"publications of nodes are passed on again", "dataplane/lbnode/slow_publish.go",
		"			continue\n		}\n		if e.Server != h.Sender {", "		} else if e.Server != h.Sender {", ordeals},
	{"no SYN/ACK is repeated until the commit", "dataplane/lbnode/tracker.go",
		"	w.sendSynAck(h, &m.Key)\n	w.halfTimers.schedule(i, w.now+firstSynAck)", "	w.sendSynAck(h, &m.Key)\n	w.halfTimers.schedule(i, h.deadline)", explore},
	{"TIME_WAIT is not published", "services/lbmodule/agent/publish.go",
		"	if f.State != Established {", "	if f.State != Established || f.Closing() {", detector{"simulation", "TestAFINThatComesAgainAfterALease"}},
	{"nothing is handed on when the ring changes", "dataplane/lbnode/worker.go",
		"		w.ringChanged(before, epoch)", "		_ = before", explore},
	{"the MSS is not clamped", "dataplane/lbnode/view.go",
		"	return fabricMTU - packet.TunnelOverhead - inner - tcp", "	return fabricMTU - inner - tcp", ordeals},
	{"the numbers of offers are ignored", "dataplane/lbnode/offer.go",
		" || h.offer != m.Offer", "", explore},
	{"a packet passes before both trackers hold its mapping", "dataplane/lbnode/tracker.go",
		"if !w.withheld(e) {", "if true {", explore},
	{"a node that was cut off begins connections with what it held", "dataplane/lbnode/pending.go",
		"		m.Options |= wire.OptHeld\n", "", detector{"simulation", "TestNoConnectionIsLostInAnOrdeal/seed_1082"}},
	{"what is closing counts as much as what is not", "dataplane/lbnode/publish.go",
		"flagUnheard\n	if p.Closing {", "flagUnheard\n	if false {", detector{"simulation", "TestNoConnectionIsLostInAnOrdeal/seed_56"}},
}

var reuse = detector{"simulation", "TestAPortIsReused|TestAPortThatIsReused"}
