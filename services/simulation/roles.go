package simulation

import (
	"weir/dataplane/flow"
	"weir/dataplane/hashring"
	"weir/services/config"
)

// Roles are the numbers of the nodes that play a part for one connection.
type Roles struct {
	Ingress, Primary, Secondary, Egress uint16 // hashring.None: nobody
}

// Place says how a node's role coincides with the trackers'.
func (r Roles) Place(node uint16) string {
	switch node {
	case hashring.None:
		return "nobody"
	case r.Primary:
		return "primary"
	case r.Secondary:
		return "secondary"
	}
	return "other"
}

// roleBook notes who does what, from the frames that nodes send.
type roleBook struct {
	ring *hashring.Ring
	seen map[Tuple]*Roles
	sent map[Tuple]map[MAC]bool // servers that its packets were sent to
}

func newRoleBook(c *config.Cluster) (*roleBook, error) {
	cfg, err := config.LBNode(c, c.Nodes[0].ID, nil)
	if err != nil {
		return nil, err
	}
	var members []hashring.Member
	for _, n := range cfg.Nodes {
		if n.Tracker {
			members = append(members, hashring.Member{Number: n.Number, Seed: n.Seed})
		}
	}
	return &roleBook{ring: hashring.New(members, cfg.Secrets.Ring), seen: map[Tuple]*Roles{}, sent: map[Tuple]map[MAC]bool{}}, nil
}

func (b *roleBook) of(t Tuple) *Roles {
	r := b.seen[t]
	if r == nil {
		k := flow.MakeKey(t.Client, t.VIP, protoTCP)
		r = &Roles{Ingress: hashring.None, Egress: hashring.None}
		r.Primary, r.Secondary = b.ring.Trackers(&k)
		b.seen[t] = r
	}
	return r
}

// watch makes the stage for a node's way out: who encapsulates is ingress, who
// sends a server's packet north bare is egress.
func (b *roleBook) watch(node uint16) Stage {
	return RecordStage(func(frame []byte) {
		k, ok := Classify(frame, isVIP)
		if !ok {
			return
		}
		switch k.Name {
		case "data up ACK", "data up payload":
			b.of(k.Tuple).Ingress = node
			if b.sent[k.Tuple] == nil {
				b.sent[k.Tuple] = map[MAC]bool{}
			}
			b.sent[k.Tuple][MAC(frame[:6])] = true
		case "tcp down ACK", "tcp down payload":
			b.of(k.Tuple).Egress = node
		}
	})
}
