package config

import (
	"fmt"
	"net/netip"
	"time"
)

// clusterCheck is one validation: what was seen so far, by what may not repeat.
type clusterCheck struct {
	*document
	addresses map[netip.Addr]string // address: path of its first use
}

// take notes the use of an address and refuses a second one.
func (k *clusterCheck) take(path string, a netip.Addr) {
	if !a.IsValid() {
		return
	}
	if a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
		k.fail(path, "use a unicast address of the network", "%s cannot be the address of a machine", a)
		return
	}
	if first, ok := k.addresses[a]; ok {
		k.fail(path, "give each its own", "%s is already used by %s", a, first)
		return
	}
	k.addresses[a] = path
}

func (k *clusterCheck) family(path string, a netip.Addr, v6 bool) {
	switch {
	case !a.IsValid():
	case v6 && a.Is4():
		k.fail(path, "", "%s is not an IPv6 address", a)
	case !v6 && !a.Is4():
		k.fail(path, "the fabric and BGP sessions use IPv4", "%s is not an IPv4 address", a)
	}
}

// repeats refuses a second use of an id or number within one list.
func repeats[T comparable](k *clusterCheck, seen map[T]string, path, what string, v T) {
	if first, ok := seen[v]; ok {
		k.fail(path, "give each its own", "%s %v is already used by %s", what, v, first)
		return
	}
	seen[v] = path
}

func (c *Cluster) validate(d *document) {
	k := &clusterCheck{document: d, addresses: map[netip.Addr]string{}}
	k.id("cluster.name", c.Identity.Name)
	k.within("cluster.id", int(c.Identity.ID), 1, 65535)
	// An IPv6 link carries 1280 bytes at least (RFC 8200, 5), plus our 28. NICs
	// are set to 1500: what is longer would vanish in them.
	k.within("fabric_mtu", c.FabricMTU, 1280+28, 1500)
	k.within("handshake.window_scale", c.Handshake.WindowScale, 0, 14)
	k.within("handshake.hold_bytes", int(c.Handshake.HoldBytes), 2048, 1<<20)
	k.within("handshake.hold_packets", c.Handshake.HoldPackets, 2, 1024)
	c.validateNodes(k)
	c.validateServers(k)
	c.validateEndpoints(k)
	c.validateBGP(k)
	c.validateAdmission(k)
	c.validatePublishing(k)
	c.validateHealth(k)
}

func (c *Cluster) validateNodes(k *clusterCheck) {
	if len(c.Nodes) == 0 {
		k.fail("nodes", "add at least one", "no nodes")
	}
	ids, numbers, roles := map[string]string{}, map[uint16]string{}, map[string]bool{}
	for i := range c.Nodes {
		m, at := &c.Nodes[i], fmt.Sprintf("nodes[%d]", i)
		k.id(at+".id", m.ID)
		repeats(k, ids, at+".id", "id", m.ID)
		k.within(at+".number", int(m.Number), 1, 65534)
		repeats(k, numbers, at+".number", "number", m.Number)
		k.family(at+".north", m.North, false)
		k.family(at+".north6", m.North6, true)
		k.family(at+".south", m.South, false)
		k.family(at+".bgp.left", m.Slots.Left, false)
		k.family(at+".bgp.right", m.Slots.Right, false)
		k.take(at+".north", m.North)
		k.take(at+".north6", m.North6)
		k.take(at+".south", m.South)
		k.take(at+".bgp.left", m.Slots.Left)
		k.take(at+".bgp.right", m.Slots.Right)
		if m.Domain != "" {
			k.id(at+".domain", m.Domain)
		}
		if len(m.Roles) == 0 {
			k.fail(at+".roles", "remove the key to give it all roles", "no roles")
		}
		for j, r := range m.Roles {
			k.oneOf(fmt.Sprintf("%s.roles[%d]", at, j), r, RoleIngress, RoleTracker, RoleEgress)
			roles[r] = true
		}
	}
	for _, r := range []string{RoleIngress, RoleTracker, RoleEgress} {
		if len(c.Nodes) > 0 && !roles[r] {
			k.fail("nodes", "give the role to a node", "no node has the role %s", r)
		}
	}
}

func (c *Cluster) validateServers(k *clusterCheck) {
	ids, numbers := map[string]string{}, map[uint16]string{}
	for i := range c.Servers {
		s, at := &c.Servers[i], fmt.Sprintf("servers[%d]", i)
		k.id(at+".id", s.ID)
		repeats(k, ids, at+".id", "id", s.ID)
		k.within(at+".number", int(s.Number), 1, 65534)
		repeats(k, numbers, at+".number", "number", s.Number)
		k.family(at+".address", s.Address, false)
		k.take(at+".address", s.Address)
		k.within(at+".weight", s.Weight, 1, 65535)
	}
}

func (c *Cluster) validateEndpoints(k *clusterCheck) {
	names := map[string]string{}
	type claim struct {
		ports Ports
		path  string
	}
	claims := map[netip.Addr][]claim{}
	v6 := ""
	for i := range c.Endpoints {
		e, at := &c.Endpoints[i], fmt.Sprintf("endpoints[%d]", i)
		k.id(at+".name", e.Name)
		repeats(k, names, at+".name", "name", e.Name)
		if len(e.Addresses) == 0 {
			k.fail(at+".addresses", "add at least one", "no addresses")
		}
		k.oneOf(at+".protocol", e.Protocol, "tcp")
		for j, a := range e.Addresses {
			path := fmt.Sprintf("%s.addresses[%d]", at, j)
			if first, ok := k.addresses[a]; ok {
				k.fail(path, "a public address belongs to no single machine", "%s is already used by %s", a, first)
			}
			if a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.IsLinkLocalUnicast() {
				k.fail(path, "use a routed unicast address", "%s cannot be a public address", a)
			}
			for _, o := range claims[a] {
				if e.Ports.First <= o.ports.Last && o.ports.First <= e.Ports.Last {
					k.fail(path, "one address and port belongs to one endpoint", "%s port %s overlaps %s port %s", a, e.Ports, o.path, o.ports)
				}
			}
			claims[a] = append(claims[a], claim{e.Ports, path})
			if a.Is6() && v6 == "" {
				v6 = e.Name
			}
		}
		k.within(at+".offers", e.Offers, 1, 255)
		k.oneOf(at+".when_exhausted", e.WhenExhausted, ExhaustedReset, ExhaustedLastAccepts)
		k.oneOf(at+".when_all_unhealthy", e.WhenAllUnhealthy, UnhealthyReset, UnhealthyTryAll)
		if e.AcceptAfter != 0 && e.AcceptAfter >= e.Offers {
			k.fail(at+".accept_after", "write a number below offers, or 0 for never", "%d rejections are never reached with %d offers", e.AcceptAfter, e.Offers)
		}
		e.Check.validate(k, at+".check")
		c.validateServerNames(k, at+".servers", &e.Servers)
	}
	for i := range c.Nodes {
		if m := &c.Nodes[i]; v6 != "" && !m.North6.IsValid() && m.Has(RoleIngress) {
			k.fail(fmt.Sprintf("nodes[%d]", i), "add north6", "endpoint %s has an IPv6 address, and node %s no IPv6 next hop", v6, m.ID)
		}
	}
}

func (c *Cluster) validateServerNames(k *clusterCheck, path string, l *Names) {
	if !l.All && len(l.IDs) == 0 {
		k.fail(path, "write all, or a list of ids", "no servers")
	}
	seen := map[string]bool{}
	for _, id := range l.IDs {
		switch {
		case c.Server(id) == nil:
			k.fail(path, "name an id of the list servers", "no server has the id %q", id)
		case seen[id]:
			k.fail(path, "name it once", "%s is named twice", id)
		}
		seen[id] = true
	}
}

func (c *Cluster) validateBGP(k *clusterCheck) {
	// RFC 4271, 4.2: a hold time is 0 or at least three seconds. 0 would take the backstop of S-62 away.
	if c.BGP.HoldTime < 3*time.Second || c.BGP.HoldTime > 65535*time.Second || c.BGP.HoldTime%time.Second != 0 {
		k.fail("bgp.hold_time", "write whole seconds, 3s or more", "%s is not a hold time", c.BGP.HoldTime)
	}
	if len(c.Routers) > 0 && c.BGP.ASN == 0 {
		k.fail("bgp.asn", "add the autonomous system of the LB nodes", "is missing, and there are routers")
	}
	for i, r := range c.Routers {
		at := fmt.Sprintf("routers[%d]", i)
		k.family(at+".address", r.Address, false)
		k.take(at+".address", r.Address)
		k.within(at+".port", int(r.Port), 1, 65535)
		if r.ASN == 0 {
			k.fail(at+".asn", "", "0 is not an autonomous system")
		}
		if len(r.Password) > 80 { // TCP_MD5SIG_MAXKEYLEN
			k.fail(at+".password", "use 80 characters at most", "is too long for TCP MD5")
		}
	}
	if len(c.Routers) == 0 || len(c.Nodes) < 2 {
		return
	}
	for i := range c.Nodes {
		for _, s := range []struct {
			name string
			addr netip.Addr
		}{{"left", c.Nodes[i].Slots.Left}, {"right", c.Nodes[i].Slots.Right}} {
			if !s.addr.IsValid() {
				k.fail(fmt.Sprintf("nodes[%d].bgp.%s", i, s.name), "add the address from which it announces its "+s.name+" neighbour", "is missing")
			}
		}
	}
}

func (c *Cluster) validateAdmission(k *clusterCheck) {
	if c.Admission.Interval < 10*time.Millisecond || c.Admission.Interval > 10*time.Second {
		k.fail("admission.interval", "write 10ms to 10s", "%s is out of range", c.Admission.Interval)
	}
	for i, t := range c.Admission.Thresholds {
		at := fmt.Sprintf("admission.thresholds[%d]", i)
		k.within(at+".utilization", t.Utilization, 0, 100)
		k.within(at+".reject", t.Reject, 0, 100)
		if i == 0 {
			continue
		}
		last := c.Admission.Thresholds[i-1]
		if t.Utilization <= last.Utilization {
			k.fail(at+".utilization", "list the steps from low to high", "%d does not rise above the step before, %d", t.Utilization, last.Utilization)
		}
		if t.Reject < last.Reject {
			k.fail(at+".reject", "a busier server rejects no less", "%d is below the step before, %d", t.Reject, last.Reject)
		}
	}
}

func (c *Cluster) validatePublishing(k *clusterCheck) {
	p := c.Publishing
	if p.Interval < 100*time.Millisecond || p.Interval > time.Minute {
		k.fail("publishing.interval", "write 100ms to 1m", "%s is out of range", p.Interval)
	}
	// One lost publication must not end a lease, and ticks of leases are 100 ms.
	if p.Lease < 3*p.Interval || p.Lease > time.Hour {
		k.fail("publishing.lease", "write three intervals or more, one hour at most", "%s is out of range with an interval of %s", p.Lease, p.Interval)
	}
}
