package wire

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"weir/dataplane/flow"
)

// publication is the i-th of a list that mixes families, servers and flags.
func publication(i int) Publication {
	client, vip := fmt.Sprintf("198.51.%d.%d:%d", i/200, i%200, 1000+i), "203.0.113.10:80"
	if i%3 == 2 {
		client, vip = fmt.Sprintf("[2001:db8::%x]:%d", i, 1000+i), "[2001:db8:100::10]:443"
	}
	return Publication{Key: flow.MakeKey(netip.MustParseAddrPort(client), netip.MustParseAddrPort(vip), 6),
		ClientISN: uint32(i) * 0x01020305, ServerISN: ^uint32(i), Server: uint16(1 + i/7), Ingress: uint16(i), Closing: i%5 == 0, Heard: i%3 == 0}
}

// sealedPublications is a full datagram and what is in it.
func sealedPublications(typ uint8) (d []byte, in []Publication) {
	var w Publications
	for i := 0; ; i++ {
		p := publication(i)
		if !w.Add(&p) {
			break
		}
		in = append(in, p)
	}
	Seal(w.Datagram(), &Header{Type: typ, Sender: 3, Seq: 1}, testKey)
	return bytes.Clone(w.Datagram()), in
}

func readAll(t *testing.T, d []byte) (out []Publication) {
	t.Helper()
	r, err := ReadPublications(d)
	if err != nil {
		t.Fatal(err)
	}
	var p Publication
	for r.Next(&p) {
		out = append(out, p)
	}
	return out
}

func TestPublicationsReadBackTheSame(t *testing.T) {
	for _, typ := range []uint8{MsgPublish, MsgPublished} {
		d, in := sealedPublications(typ)
		var h Header
		if err := Open(d, &h, testKey); err != nil || h.Type != typ {
			t.Fatalf("%v, type %d", err, h.Type)
		}
		out := readAll(t, d)
		if len(out) != len(in) || len(in) < 30 {
			t.Fatalf("%d entries, want %d", len(out), len(in))
		}
		for i := range in {
			if out[i] != in[i] {
				t.Errorf("entry %d is %+v, want %+v", i, out[i], in[i])
			}
		}
	}
}

func TestADatagramOfPublicationsIsBounded(t *testing.T) {
	var w Publications
	for i := range 1000 {
		p := publication(3 * i) // IPv4
		p.Server = 1
		if !w.Add(&p) {
			break
		}
	}
	if w.Len() != MaxPublications || len(w.Datagram()) > MaxPublish || MaxPublications != 59 {
		t.Errorf("%d entries in %d bytes", w.Len(), len(w.Datagram()))
	}
	w.Reset()
	w.Max = 1280
	for range 100 {
		p := publication(3)
		w.Add(&p)
	}
	if n := len(w.Datagram()); n > 1280 || n < 1280-entrySize4 {
		t.Errorf("%d bytes, at most 1280 may be used", n)
	}
	w.Reset()
	w.Max = 0
	if w.Len() != 0 || len(w.Datagram()) != HeaderSize {
		t.Errorf("after a reset: %d entries, %d bytes", w.Len(), len(w.Datagram()))
	}
	p := publication(2)
	w.Add(&p)
	w.Datagram()[1] = MsgPublish
	if out := readAll(t, w.Datagram()); len(out) != 1 || out[0] != p {
		t.Errorf("after a reset: %+v", out)
	}
}

func TestAPublicationTakes24BytesForIPv4And48ForIPv6(t *testing.T) {
	var w Publications
	before := HeaderSize + sectionSize
	for i, size := range []int{24, 24, 48} {
		p := publication(i)
		w.Add(&p)
		if got := len(w.Datagram()) - before; got != size {
			t.Errorf("entry %d takes %d bytes, want %d", i, got, size)
		}
		before = len(w.Datagram())
	}
}

func TestOfABrokenDatagramOfPublicationsNothingIsRead(t *testing.T) {
	good, _ := sealedPublications(MsgPublish)
	change := func(at int, v byte) []byte {
		d := bytes.Clone(good)
		d[at] = v
		return d
	}
	v4 := publication(2)
	v4.Key.Client = [16]byte{10: 0xff, 11: 0xff}
	var w Publications
	good6 := publication(2)
	w.Add(&good6)
	w.Datagram()[1] = MsgPublish
	long := bytes.Clone(w.Datagram())
	copy(long[HeaderSize+sectionSize+entryFixed:], v4.Key.Client[:])
	for what, d := range map[string][]byte{
		"IPv4 in a long entry": long,
		"nothing":              nil,
		"half a header":        good[:39],
		"a byte less":          good[:len(good)-1],
		"a byte more":          append(bytes.Clone(good), 0),
		"another type":         change(1, MsgOffer),
		"too many entries":     change(HeaderSize+3, 8),
		"too few entries":      change(HeaderSize+3, 6),
		"an empty section":     append(bytes.Clone(good[:HeaderSize]), 0, 1, 0, 0),
		"an unknown flag":      change(HeaderSize+sectionSize+1, 0x80),
		"longer than a packet": append(bytes.Clone(good), make([]byte, 2000)...),
	} {
		if _, err := ReadPublications(d); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}

func TestPublicationsCostNoAllocation(t *testing.T) {
	w := new(Publications)
	p := publication(4)
	if n := testing.AllocsPerRun(100, func() {
		w.Reset()
		for w.Add(&p) {
		}
		Seal(w.Datagram(), &Header{Type: MsgPublish}, testKey)
		r, err := ReadPublications(w.Datagram())
		var q Publication
		for r.Next(&q) {
		}
		if err != nil || q != p {
			t.Error("does not read back")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzReadPublications reads any bytes: what is accepted writes back the same,
// but for the way its sections are cut.
func FuzzReadPublications(f *testing.F) {
	d, _ := sealedPublications(MsgPublished)
	f.Add(d)
	f.Add(d[:HeaderSize])
	f.Add(d[:HeaderSize+30])
	f.Fuzz(func(t *testing.T, d []byte) {
		r, err := ReadPublications(d)
		if err != nil {
			return
		}
		var w Publications
		var p, q Publication
		var all []Publication
		for r.Next(&p) {
			w.Add(&p)
			all = append(all, p)
		}
		if len(all) != w.Len() {
			t.Fatalf("%d entries were read from a datagram, %d fit", len(all), w.Len())
		}
		w.Datagram()[1] = MsgPublish
		again, err := ReadPublications(w.Datagram())
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if !again.Next(&q) || q != all[i] {
				t.Fatalf("entry %d is %+v, was %+v", i, q, all[i])
			}
		}
	})
}

func BenchmarkPublications(b *testing.B) {
	good, in := sealedPublications(MsgPublish)
	var w Publications
	for b.Loop() {
		r, _ := ReadPublications(good)
		var p Publication
		w.Reset()
		for r.Next(&p) {
			w.Add(&p)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(in)), "ns/entry")
}
