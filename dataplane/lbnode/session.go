package lbnode

import "weir/dataplane/wire"

// pairKeys are the keys between this node and another node or a module, each in
// its present life (S-113).
type pairKeys struct {
	seal wire.ControlKey   // what goes there
	open []wire.ControlKey // what comes from there, by each control key in use
}

func (c *Config) pairKeys(boot uint64, other wire.Peer) (p pairKeys) {
	self := wire.Peer{Role: wire.RoleNode, Number: c.Self, Boot: boot}
	for i, k := range c.Secrets.Control {
		if i == 0 {
			p.seal = wire.ControlKey{ID: k.ID, Key: wire.PairKey(k.Key, self, other)}
		}
		p.open = append(p.open, wire.ControlKey{ID: k.ID, Key: wire.PairKey(k.Key, other, self)})
	}
	return p
}

// maxSenderWorkers bounds the workers of one sender: fast ones and the slow one.
const maxSenderWorkers = 65

// session guards against datagrams of one sender's worker coming again.
type session struct {
	boot   uint64
	window wire.Window
}

// sessions are those of all nodes or of all servers: by number, then by worker.
type sessions [][]session

// fresh reports whether a verified datagram is its first copy. boot is the
// sender's present life.
func (s *sessions) fresh(h *wire.Header, boot uint64) bool {
	if h.Worker >= maxSenderWorkers {
		return false
	}
	for int(h.Sender) >= len(*s) {
		*s = append(*s, nil)
	}
	list := &(*s)[h.Sender]
	for int(h.Worker) >= len(*list) {
		*list = append(*list, session{boot: boot})
	}
	one := &(*list)[h.Worker]
	if one.boot != boot {
		*one = session{boot: boot}
	}
	return one.window.Fresh(h.Seq)
}

// sender is what is known of who claims to have sent a datagram; nil if the
// outer address is another's.
func (v *view) sender(h *wire.Header, src [4]byte) (*pairKeys, uint64) {
	switch h.Role {
	case wire.RoleServer:
		if s := v.server(h.Sender); s != nil && s.Address.As4() == src {
			return &s.keys, s.Boot
		}
	case wire.RoleNode:
		if n := v.node(h.Sender); n != nil && n.South.As4() == src {
			return &n.keys, n.Boot
		}
	}
	return nil, 0
}
