package config

import (
	"net/netip"
	"slices"
	"time"
)

// Cluster is cluster.yaml: nodes, servers, public endpoints and their settings,
// the same file for every node and server.
type Cluster struct {
	Identity   Identity   `yaml:"cluster" need:"yes"`
	KeyFile    string     `yaml:"key_file"`   // relative to this file; 64 hexadecimal digits; not used by the configuration service
	FabricMTU  int        `yaml:"fabric_mtu"` // of the encapsulated IP packet, bytes
	Handshake  Handshake  `yaml:"handshake"`
	Nodes      []Member   `yaml:"nodes" need:"yes"` // in ring order: neighbours in this list announce each other (S-60)
	Servers    []Server   `yaml:"servers" need:"yes"`
	Endpoints  []Endpoint `yaml:"endpoints" need:"yes"`
	Routers    []Router   `yaml:"routers"` // empty: no BGP
	BGP        BGP        `yaml:"bgp"`
	Admission  Admission  `yaml:"admission"`
	Publishing Publishing `yaml:"publishing"`
	Health     Health     `yaml:"health"`

	Keys     KeySet   // from KeyFile, or from the configuration service
	Warnings []string // lines for the log: usable, but unwise
}

// Identity names the cluster.
type Identity struct {
	Name string `yaml:"name" need:"yes"`
	ID   uint16 `yaml:"id" need:"yes"` // from 1; distinguishes clusters that share servers (S-4)
}

// Handshake says what trackers promise to clients and ingress holds for them.
type Handshake struct {
	WindowScale int  `yaml:"window_scale"` // promised when the client offers scaling (S-13)
	HoldBytes   Size `yaml:"hold_bytes"`   // per flow before its mapping is known (S-16); bounds the SYN/ACK's window
	HoldPackets int  `yaml:"hold_packets"`
}

// Roles of a node (S-6).
const (
	RoleIngress = "ingress"
	RoleTracker = "tracker"
	RoleEgress  = "egress"
)

// Member is an LB node as all others know it.
type Member struct {
	ID      string     `yaml:"id" need:"yes"`
	Number  uint16     `yaml:"number" need:"yes"` // 1 to 65534
	North   netip.Addr `yaml:"north" need:"yes"`  // IPv4 next hop, and source of its BGP session for itself
	North6  netip.Addr `yaml:"north6"`            // IPv6 next hop; needed when an endpoint has an IPv6 address
	South   netip.Addr `yaml:"south" need:"yes"`
	Slots   Slots      `yaml:"bgp"`
	Roles   []string   `yaml:"roles"`   // default: all
	Domain  string     `yaml:"domain"`  // of failure, such as a rack; empty: one of its own
	Healthy bool       `yaml:"healthy"` // false takes it out of the ring and has its routes withdrawn
}

// Slots are the two fixed addresses from which a node announces its left and
// its right neighbour (S-60): a router knows a session by its source.
type Slots struct {
	Left  netip.Addr `yaml:"left"`
	Right netip.Addr `yaml:"right"`
}

// Server is a server node with an LB module.
type Server struct {
	ID      string     `yaml:"id" need:"yes"`
	Number  uint16     `yaml:"number" need:"yes"` // 1 to 65534
	Address netip.Addr `yaml:"address" need:"yes"`
	Weight  int        `yaml:"weight"`  // relative capacity, default 100
	Healthy bool       `yaml:"healthy"` // false: gets no offers
}

// Policies of an endpoint.
const (
	ExhaustedReset       = "reset"        // after the last offer: RST
	ExhaustedLastAccepts = "last_accepts" // the last server must accept (S-33)
	UnhealthyReset       = "reset"        // no healthy server: RST
	UnhealthyTryAll      = "try_all"      // offer to all as if they were healthy (S-58)
)

// Endpoint is a public service (S-4).
type Endpoint struct {
	Name             string       `yaml:"name" need:"yes"`
	Addresses        []netip.Addr `yaml:"addresses" need:"yes"`
	Protocol         string       `yaml:"protocol"`
	Ports            Ports        `yaml:"ports" need:"yes"`
	Servers          Names        `yaml:"servers"`
	Offers           int          `yaml:"offers"` // TTL of a connection's offers (S-33)
	WhenExhausted    string       `yaml:"when_exhausted"`
	WhenAllUnhealthy string       `yaml:"when_all_unhealthy"`
	AcceptAfter      int          `yaml:"accept_after"` // rejections after which a module accepts regardless (S-32); 0: never
	Check            ServerCheck  `yaml:"check"`        // of the servers themselves, beside the ping of their modules (S-55)
}

// Router is an edge router.
type Router struct {
	Address     netip.Addr `yaml:"address" need:"yes"`
	Port        uint16     `yaml:"port"` // default 179
	ASN         uint32     `yaml:"asn" need:"yes"`
	Password    Secret     `yaml:"password"`     // TCP MD5 (RFC 2385)
	TTLSecurity bool       `yaml:"ttl_security"` // GTSM (RFC 5082)
}

// BGP is the cluster's side of every session.
type BGP struct {
	ASN         uint32        `yaml:"asn"`
	HoldTime    time.Duration `yaml:"hold_time"`
	Communities []Community   `yaml:"communities"`
	LocalPref   uint32        `yaml:"local_pref"` // told to routers of our own AS only (RFC 4271, 5.1.5)
}

// Admission is how modules reject under load (S-31).
type Admission struct {
	Interval   time.Duration `yaml:"interval"` // between two samples of the metrics
	Thresholds []Threshold   `yaml:"thresholds"`
}

// Threshold is a step of the curve: from this utilisation on, this share of offers is rejected. Both in per cent.
type Threshold struct {
	Utilization int `yaml:"utilization" need:"yes"`
	Reject      int `yaml:"reject" need:"yes"`
}

// Publishing says how modules keep the trackers' state alive (S-40, S-42).
type Publishing struct {
	Interval time.Duration `yaml:"interval"` // in which a module publishes each of its connections once
	Lease    time.Duration `yaml:"lease"`    // how long an entry is good without being published
}

// DefaultThresholds are those of S-31.
func DefaultThresholds() []Threshold {
	return []Threshold{{80, 20}, {90, 25}, {95, 50}, {98, 100}}
}

func (c *Cluster) defaults() {
	c.FabricMTU = 1500
	c.Handshake.defaults()
	c.BGP.defaults()
	c.Admission.defaults()
	c.Publishing = Publishing{Interval: time.Second, Lease: 10 * time.Second}
	c.Health.defaults()
}

func (h *Handshake) defaults() { *h = Handshake{WindowScale: 7, HoldBytes: 32 << 10, HoldPackets: 32} }

func (m *Member) defaults() {
	m.Healthy = true
	m.Roles = []string{RoleIngress, RoleTracker, RoleEgress}
}

func (s *Server) defaults() { s.Weight, s.Healthy = 100, true }

func (e *Endpoint) defaults() {
	e.Protocol, e.Offers, e.Servers.All = "tcp", 8, true
	e.WhenExhausted, e.WhenAllUnhealthy = ExhaustedReset, UnhealthyReset
}

func (r *Router) defaults() { r.Port = 179 }

func (b *BGP) defaults() { b.HoldTime, b.LocalPref = 3*time.Second, 100 }

func (a *Admission) defaults() {
	a.Interval, a.Thresholds = 100*time.Millisecond, DefaultThresholds()
}

// Has reports whether the node has a role.
func (m *Member) Has(role string) bool { return slices.Contains(m.Roles, role) }

// Seed is the node's place on the ring.
func (m *Member) Seed() uint64 { return placeSeed("node", m.ID) }

// Member is the node with this id, or nil.
func (c *Cluster) Member(id string) *Member {
	if i := slices.IndexFunc(c.Nodes, func(m Member) bool { return m.ID == id }); i >= 0 {
		return &c.Nodes[i]
	}
	return nil
}

// Server is the server with this id, or nil.
func (c *Cluster) Server(id string) *Server {
	if i := slices.IndexFunc(c.Servers, func(s Server) bool { return s.ID == id }); i >= 0 {
		return &c.Servers[i]
	}
	return nil
}

// Serves reports whether a server is among those of an endpoint.
func (e *Endpoint) Serves(serverID string) bool {
	return e.Servers.All || slices.Contains(e.Servers.IDs, serverID)
}

// Prefixes are the public addresses, each once, in the order of the file.
func (c *Cluster) Prefixes() []netip.Prefix {
	var out []netip.Prefix
	for _, e := range c.Endpoints {
		for _, a := range e.Addresses {
			if p := netip.PrefixFrom(a, a.BitLen()); !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}
