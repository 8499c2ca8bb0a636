package bpf

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"

	"weir/dataplane/packet"
	"weir/services/lbmodule/agent"
)

// Verdict of a program, as tc knows it.
type Verdict int32

const (
	Pass     Verdict = -1 // to whoever is next: the kernel from the fabric, weir1 from weir0, weir0 from weir1
	Drop     Verdict = 2
	Redirect Verdict = 7 // Ingress: to the kernel through weir0; Egress: to the fabric
)

// growth is room for what a program adds, in bytes.
const growth = 256

// runnable reports whether the kernel takes a frame for a run: it wants whole
// network headers, which programs pass on untouched if they are not there.
func runnable(frame []byte) bool {
	if len(frame) < packet.EthernetSize {
		return false
	}
	switch binary.BigEndian.Uint16(frame[12:]) {
	case packet.EtherTypeIPv4:
		return len(frame) >= packet.EthernetSize+packet.IPv4Size
	case packet.EtherTypeIPv6:
		return len(frame) >= packet.EthernetSize+packet.IPv6Size
	}
	return true
}

// Ingress runs the program of the fabric interface on an Ethernet frame, in
// the real kernel but on no interface: this is how the simulation drives what
// ships (S-90). The result is valid until the next run of its Data.
func (d *Data) Ingress(frame []byte) (Verdict, []byte, error) { return run(d.objs.WeirIngress, frame) }

// Egress runs the program of weir0. After Redirect the frame is encapsulated,
// and its Ethernet addresses are still to be filled in.
func (d *Data) Egress(frame []byte) (Verdict, []byte, error) { return run(d.objs.WeirEgress, frame) }

// Inject runs the program of weir1 on a frame of the agent.
func (d *Data) Inject(frame []byte, kind agent.InjectKind) (Verdict, []byte, error) {
	MarkInject(frame, kind)
	return run(d.objs.WeirInject, frame)
}

// MarkInject writes into the frame's source address what the program of weir1
// looks for.
func MarkInject(frame []byte, kind agent.InjectKind) {
	frame[6], frame[11] = 2, uint8(kind)
}

// SetClock sets the time of a Data with a virtual clock, in ns.
func (d *Data) SetClock(now int64) error { return d.objs.WeirClock.Put(uint32(0), uint64(now)) }

func run(p *ebpf.Program, frame []byte) (Verdict, []byte, error) {
	if !runnable(frame) {
		return Pass, frame, nil
	}
	out := make([]byte, len(frame)+growth)
	o := ebpf.RunOptions{Data: frame, DataOut: out, Repeat: 1}
	v, err := p.Run(&o)
	if err != nil {
		return Drop, nil, fmt.Errorf("run %s: %w", p, err)
	}
	return Verdict(int32(v)), o.DataOut, nil
}
