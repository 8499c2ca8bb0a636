package wire

// size is the length of one datagram with all of g.
func (g *Gossip) size() int {
	n := gossipStart
	for _, s := range [...]int{len(g.Deaths) * deathSize, len(g.Asks) * askSize, len(g.Opinions) * opinionSize,
		len(g.Nodes) * nodeSize, len(g.Servers) * serverSize} {
		if s > 0 {
			n += gossipSection + s
		}
	}
	return n
}

// take moves as many entries from the head of one list to another as fit into
// room bytes, and returns the room that is left.
func take[T any](from, to *[]T, size, room int) int {
	n := min(len(*from), (room-gossipSection)/size)
	if n <= 0 {
		return room
	}
	*to, *from = (*from)[:n], (*from)[n:]
	return room - gossipSection - n*size
}

// Split calls each with parts of g that fit a datagram each, in order. The
// parts share g's memory.
func (g *Gossip) Split(each func(part *Gossip)) {
	for _, count := range [...]bool{true, false} {
		rest := *g
		for part := uint8(0); ; part++ {
			p := Gossip{Round: g.Round, Part: part, Parts: g.Parts, Pull: g.Pull, Answer: g.Answer}
			room := MaxGossip - gossipStart
			room = take(&rest.Deaths, &p.Deaths, deathSize, room)
			room = take(&rest.Asks, &p.Asks, askSize, room)
			room = take(&rest.Opinions, &p.Opinions, opinionSize, room)
			room = take(&rest.Nodes, &p.Nodes, nodeSize, room)
			take(&rest.Servers, &p.Servers, serverSize, room)
			last := len(rest.Deaths)+len(rest.Asks)+len(rest.Opinions)+len(rest.Nodes)+len(rest.Servers) == 0 || part == 254
			if !count {
				each(&p)
			}
			if last {
				g.Parts = part + 1
				break
			}
		}
	}
}
