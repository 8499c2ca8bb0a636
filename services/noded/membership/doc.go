// Package membership decides which nodes and servers are healthy, and where a
// node stands between joining and leaving (S-50 to S-59, S-62, S-64). It is pure:
// it has no sockets, clocks or goroutines. The caller tells it what happened and
// what time it is, and it tells the caller what to send.
//
//	core := membership.New(cfg, rng, out)
//	core.Resume(boot, flags)                 // only if the dataplane already runs (restart of noded)
//	for {
//		read and report everything that has arrived:
//			core.Pong(now, …)                // MsgPong, opened with a control key
//			core.Gossip(now, header, d)      // MsgGossip, opened with a control key
//			core.Dataplane(now, …)           // answer to a Beat
//			core.ServerResult(now, …)        // a check is done
//			core.ServerLife(now, …)          // a packet or publication came from that server
//			core.Sessions(now, ok)           // the BGP sessions for our neighbours are up
//			core.Drain(now, …)               // the operator's wish
//		core.Tick(now)                       // every core.Step(), after all of the above
//		if v := core.View(); v.Learned && v.Version != last { apply v }
//	}
//
// Time is that of a clock that counts suspension (CLOCK_BOOTTIME): a gap in it
// means that this node stood still and rejoins as new (S-59). Read what has
// arrived before Tick: an answer that waits in a socket is no miss.
//
// # What a node knows of another
//
// A node never says itself that it is well; others do, by checking it: two
// pings, one that crosses it from north to south and one the other way. Whoever
// got both answered raises the heartbeat counter of that node, in that life of
// its dataplane (its boot id). Gossip spreads counters, and lists merge by maximum.
// A counter that stands still makes a node suspect and then unhealthy; that is
// the slow path. On the fast one the neighbours in the node list, who check each
// other every interval, count their own misses, ask others for a second opinion,
// and tell everybody of the death. A death is of one life at one counter: clearly
// more heartbeats refute it, and an answer to a ping that was sent afterwards
// raises the counter that far.
//
// What a node says of itself is its record: flags for its place between joining
// and leaving, and the ring epoch for which its dataplane is synchronised. Only
// the node writes it, and every change has a higher version.
//
// # Trust
//
// Gossip is taken only from a control plane whose boot id was learned by
// challenge (an answered ping with our nonce), and every sequence number only
// once. Gossip with another boot id makes us ping its sender.
package membership
