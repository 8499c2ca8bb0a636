package lbnode

import (
	"sync/atomic"

	"weir/dataplane/wire"
)

// Counter names one thing that a worker counts. A worker's counters are its
// own; others read them with Load.
type Counter uint8

const (
	// What happened.
	IngressForwarded Counter = iota
	IngressHeld
	IngressReleased
	EgressForwarded
	SynReceived
	SynAckSent
	SynAckResent
	CookieAnswered
	CookieVerified
	QueriesSent
	QueriesAnswered
	OffersSent
	OffersRejected
	ConnectionsCommitted
	ConnectionsRefused
	ConnectionsSuperseded
	MappingsPurged
	FlowsEvicted
	ResetsSent
	ToKernel
	PingsAnswered
	SyncTaken
	SyncDisagreed
	QueriesForwarded
	PublicationsReceived  // datagrams
	PublicationsForwarded // entries
	PublicationEntries
	PublicationsOutdated
	LeasesRenewed
	TrackedRestored
	MappingsRestored

	// Why something was dropped (S-84). The first one marks where they begin.
	DropMalformed
	DropBadChecksum
	DropFragment
	DropUnsupported
	DropNotServed
	DropNotServedLimited
	DropBadFlags
	DropUDPEndpoint
	DropICMP
	DropStranger
	DropNotPublic
	DropEncapsulation
	DropBadTag
	DropBadMessage
	DropNotForUs
	DropNoNextHop
	DropNoBuffer
	DropNoRoom
	DropTooBig
	DropUnknownReset
	DropUnknownLimited
	DropUnknownFlow
	DropUnanswered
	DropPendingFull
	DropHoldFull
	DropHalfOpenFull
	DropDuplicateSyn
	DropStaleMessage
	DropBadCookie
	DropNoTracker
	DropNoServer
	DropRole
	DropNotConfigured
	DropWrongPort
	DropPingSilent
	DropServerDead
	DropStaleBoot
	DropReplayed

	numCounters
)

const firstDrop = DropMalformed

// counterNames are the names in metrics and in `weirctl status`; drop reasons
// appear there without the prefix.
var counterNames = [numCounters]string{
	IngressForwarded:      "ingress_forwarded",
	IngressHeld:           "ingress_held",
	IngressReleased:       "ingress_released",
	EgressForwarded:       "egress_forwarded",
	SynReceived:           "syn_received",
	SynAckSent:            "synack_sent",
	SynAckResent:          "synack_resent",
	CookieAnswered:        "cookie_answered",
	CookieVerified:        "cookie_verified",
	QueriesSent:           "queries_sent",
	QueriesAnswered:       "queries_answered",
	OffersSent:            "offers_sent",
	OffersRejected:        "offers_rejected",
	ConnectionsCommitted:  "connections_committed",
	ConnectionsRefused:    "connections_refused",
	ConnectionsSuperseded: "connections_superseded",
	MappingsPurged:        "mappings_purged",
	FlowsEvicted:          "flows_evicted",
	ResetsSent:            "resets_sent",
	ToKernel:              "to_kernel",
	PingsAnswered:         "pings_answered",
	SyncTaken:             "sync_taken",
	SyncDisagreed:         "sync_disagreed",
	QueriesForwarded:      "queries_forwarded",
	PublicationsReceived:  "publications_received",
	PublicationsForwarded: "publications_forwarded",
	PublicationEntries:    "publication_entries",
	PublicationsOutdated:  "publications_outdated",
	LeasesRenewed:         "leases_renewed",
	TrackedRestored:       "tracked_restored",
	MappingsRestored:      "mappings_restored",

	DropMalformed:        "malformed",
	DropBadChecksum:      "bad_checksum",
	DropFragment:         "fragment",
	DropUnsupported:      "unsupported_protocol",
	DropNotServed:        "address_not_served",
	DropNotServedLimited: "closed_port_reset_limited",
	DropBadFlags:         "bad_tcp_flags",
	DropUDPEndpoint:      "udp_endpoint_unsupported",
	DropICMP:             "icmp_unsupported",
	DropStranger:         "stranger",
	DropNotPublic:        "source_not_public",
	DropEncapsulation:    "bad_encapsulation",
	DropBadTag:           "bad_tag",
	DropBadMessage:       "bad_message",
	DropNotForUs:         "not_for_this_node",
	DropNoNextHop:        "next_hop_unresolved",
	DropNoBuffer:         "no_buffer",
	DropNoRoom:           "no_head_room",
	DropTooBig:           "too_big",
	DropUnknownReset:     "reset_of_unknown_flow",
	DropUnknownLimited:   "unknown_flow_limited",
	DropUnknownFlow:      "unknown_flow",
	DropUnanswered:       "query_unanswered",
	DropPendingFull:      "pending_full",
	DropHoldFull:         "hold_full",
	DropHalfOpenFull:     "half_open_full",
	DropDuplicateSyn:     "duplicate_syn",
	DropStaleMessage:     "stale_message",
	DropBadCookie:        "bad_cookie",
	DropNoTracker:        "no_tracker",
	DropNoServer:         "no_healthy_server",
	DropRole:             "role_disabled",
	DropNotConfigured:    "not_configured",
	DropWrongPort:        "unexpected_udp_port",
	DropPingSilent:       "ping_while_silent",
	DropServerDead:       "server_dead",
	DropStaleBoot:        "stale_boot",
	DropReplayed:         "replayed",
}

// String is the counter's name.
func (c Counter) String() string { return counterNames[c] }

// IsDrop reports whether the counter counts dropped packets or messages.
func (c Counter) IsDrop() bool { return c >= firstDrop }

// NumCounters is how many counters a worker has.
const NumCounters = int(numCounters)

// Counters are one worker's. Only the worker writes them.
type Counters [numCounters]uint64

func (c *Counters) add(which Counter, n uint64) {
	// A plain store of a single writer is enough; the atomic one keeps readers
	// on other cores exact, and is the same instruction on amd64 but for XCHG,
	// so the fast path adds once per burst.
	atomic.StoreUint64(&c[which], c[which]+n)
}

// Load reads a counter from any goroutine.
func (c *Counters) Load(which Counter) uint64 { return atomic.LoadUint64(&c[which]) }

// MessageCounters count tracker messages by type, apart from those that stay
// inside the worker. Only the worker writes them.
type MessageCounters struct{ in, out [wire.NumMsgs]uint64 }

func (c *MessageCounters) received(kind uint8) { atomic.StoreUint64(&c.in[kind], c.in[kind]+1) }
func (c *MessageCounters) sent(kind uint8)     { atomic.StoreUint64(&c.out[kind], c.out[kind]+1) }

// Load reads the counters of a type from any goroutine.
func (c *MessageCounters) Load(kind uint8) (in, out uint64) {
	return atomic.LoadUint64(&c.in[kind]), atomic.LoadUint64(&c.out[kind])
}
