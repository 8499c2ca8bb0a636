package simulation

import (
	"time"
)

// MAC is an Ethernet address.
type MAC [6]byte

// broadcast reaches every port of a bus.
var broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Bus is an Ethernet segment (S-91). A frame passes the sender's Out stages,
// travels for Latency, and passes the In stages of each port that it reaches.
type Bus struct {
	Name    string
	Latency time.Duration

	sim   *Sim
	ports []*Port
}

// NewBus makes a segment without ports.
func (s *Sim) NewBus(name string, latency time.Duration) *Bus {
	return &Bus{Name: name, Latency: latency, sim: s}
}

// Port is where a component is attached to a bus.
type Port struct {
	MAC MAC
	Out []Stage // what happens to frames that the component sends
	In  []Stage // what happens to frames on their way into it

	bus     *Bus
	label   string
	receive func(frame []byte)
}

// Attach joins a component to the bus. Receive gets each frame that arrives;
// it must not change it, because other holders share its memory.
func (b *Bus) Attach(name string, mac MAC, receive func(frame []byte)) *Port {
	p := &Port{MAC: mac, bus: b, label: b.Name + "/" + name, receive: receive}
	b.ports = append(b.ports, p)
	return p
}

// Ports are the attached ports, in the order of attachment.
func (b *Bus) Ports() []*Port { return b.ports }

// Send puts a frame on the bus; the bus owns it from here on.
func (p *Port) Send(frame []byte) {
	sim := p.bus.sim
	sim.Trace.record(sim.now, sent, p.label, frame)
	sim.Trace.show(sim.now, p.bus.Name, frame)
	pass(p.Out, Packet{Frame: frame}, func(k Packet) {
		sim.After(p.bus.Latency+k.Delay, func() { p.bus.deliver(p, k.Frame) })
	})
}

func (b *Bus) deliver(from *Port, frame []byte) {
	if len(frame) < ethernetSize {
		return
	}
	to := MAC(frame[:6])
	for _, p := range b.ports {
		if p == from || to != p.MAC && to != broadcast {
			continue
		}
		pass(p.In, Packet{Frame: frame}, func(k Packet) {
			if k.Delay > 0 {
				b.sim.After(k.Delay, func() { p.take(k.Frame) })
				return
			}
			p.take(k.Frame)
		})
	}
}

func (p *Port) take(frame []byte) {
	p.bus.sim.Trace.record(p.bus.sim.now, received, p.label, frame)
	p.receive(frame)
}
