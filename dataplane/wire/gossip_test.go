package wire

import (
	"bytes"
	"reflect"
	"testing"
)

// bigGossip has more of everything than one datagram holds.
func bigGossip() *Gossip {
	g := &Gossip{Round: 7, Answer: true}
	for i := range uint16(100) {
		n := uint64(i) * 0x0101010101010101
		g.Deaths = append(g.Deaths, Death{i, i + 1, n, n + 1})
		g.Asks = append(g.Asks, Ask{i, i * 3, n + 2})
		g.Opinions = append(g.Opinions, Opinion{i, i%2 == 0, n + 3})
		g.Nodes = append(g.Nodes, NodeRecord{i, uint8(i), n + 4, n + 5, n + 6, uint32(n + 7), n + 8, [2]uint16{i, i + 1}})
		g.Servers = append(g.Servers, ServerRecord{i, i%2 == 0, i%3 == 0, n + 9, n + 10, n + 11})
	}
	return g
}

func TestGossipOfAnySizeIsSplitAndReadsBackTheSame(t *testing.T) {
	for _, c := range []struct {
		what string
		g    *Gossip
		less int // datagrams are fewer than this
	}{
		{"nothing", &Gossip{}, 2},
		{"a question", &Gossip{Pull: true}, 2},
		{"a hundred of everything", bigGossip(), 10},
	} {
		var all, got Gossip
		parts := 0
		c.g.Split(func(p *Gossip) {
			d := make([]byte, MaxGossip)
			d = d[:PutGossip(d, p)]
			Seal(d, &Header{Type: MsgGossip, Sender: 3}, testKey)
			if err := GetGossip(d, &got); err != nil {
				t.Fatalf("%s: part %d: %v", c.what, parts, err)
			}
			if int(got.Part) != parts || got.Parts != c.g.Parts || got.Round != c.g.Round || len(d) != p.size() {
				t.Errorf("%s: part %d reads %d of %d, round %d, %d bytes", c.what, parts, got.Part, got.Parts, got.Round, len(d))
			}
			parts++
			all.Round, all.Parts, all.Pull, all.Answer = got.Round, got.Parts, got.Pull, got.Answer
			all.Deaths = append(all.Deaths, got.Deaths...)
			all.Asks = append(all.Asks, got.Asks...)
			all.Opinions = append(all.Opinions, got.Opinions...)
			all.Nodes = append(all.Nodes, got.Nodes...)
			all.Servers = append(all.Servers, got.Servers...)
		})
		if !reflect.DeepEqual(&all, c.g) {
			t.Errorf("%s: read back as %+v", c.what, all)
		}
		if parts >= c.less || parts != int(c.g.Parts) {
			t.Errorf("%s: %d datagrams", c.what, parts)
		}
	}
}

func TestEveryTruncationOfGossipIsRefusedOrEndsBetweenSections(t *testing.T) {
	var part Gossip
	bigGossip().Split(func(p *Gossip) {
		if p.Part == 1 {
			part = *p
		}
	})
	d := make([]byte, MaxGossip)
	d = d[:PutGossip(d, &part)]
	d[1] = MsgGossip
	good := 0
	var g Gossip
	for n := range d {
		if GetGossip(d[:n], &g) == nil {
			good++
		}
	}
	if good > 5 {
		t.Errorf("%d truncations are taken for whole", good)
	}
}

func FuzzGetGossip(f *testing.F) {
	bigGossip().Split(func(p *Gossip) {
		d := make([]byte, MaxGossip)
		d = d[:PutGossip(d, p)]
		d[1] = MsgGossip
		f.Add(d)
	})
	f.Fuzz(func(t *testing.T, d []byte) {
		var g, again Gossip
		if GetGossip(d, &g) != nil || len(d) > MaxGossip {
			return
		}
		out := make([]byte, MaxGossip)
		if g.size() > MaxGossip {
			t.Fatalf("%d bytes grow to %d", len(d), g.size())
		}
		out = out[:PutGossip(out, &g)]
		out[1] = MsgGossip
		if err := GetGossip(out, &again); err != nil || !reflect.DeepEqual(g, again) {
			t.Fatalf("%v: %+v reads back as %+v from %x", err, g, again, bytes.TrimRight(out, "\x00"))
		}
	})
}
