package simulation

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Host is a machine with a real TCP stack (S-92). It has one interface, which
// carries bare IP packets: Output takes what the stack sends.
type Host struct {
	Name   string
	Output func(ip []byte)

	sim   *Sim
	stack *stack.Stack
	tcp   stack.TransportProtocol
	link  *channel.Endpoint
	ids   uint16
	dirty []*conn // connections with something to do, in the order of notice
}

const (
	hostNIC   = 1
	linkQueue = 4096 // packets; a stack at rest has none queued
)

// makeStack serialises the making of stacks: netstack makes as many TCP
// processors as Go has processors at that moment, and one is what order needs.
var makeStack sync.Mutex

// NewHost makes a host that owns the given addresses. MTU is the size of the
// largest IP packet, bytes.
func NewHost(sim *Sim, name string, mtu uint32, addresses ...netip.Addr) (*Host, error) {
	h := &Host{Name: name, sim: sim, link: channel.New(linkQueue, mtu, "")}
	source := stackSource{sim.Rand("host " + name)}

	makeStack.Lock()
	processors := runtime.GOMAXPROCS(1)
	h.stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocolWithOptions(ipv6.Options{})},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
		Clock:              &stackClock{sim: sim, rest: h.rest},
		RandSource:         source,
		SecureRNG:          source,
	})
	runtime.GOMAXPROCS(processors)
	makeStack.Unlock()
	h.tcp = h.stack.TransportProtocolInstance(tcp.ProtocolNumber)

	sack := tcpip.TCPSACKEnabled(true)
	if err := h.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &sack); err != nil {
		return nil, fmt.Errorf("host %s: enable SACK: %v", name, err)
	}
	// Netstack's RACK miscounts what is outstanding under reordering and then
	// never repeats a lost FIN; its older loss recovery does.
	recovery := tcpip.TCPRecovery(0)
	if err := h.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &recovery); err != nil {
		return nil, fmt.Errorf("host %s: choose loss recovery: %v", name, err)
	}
	if err := h.stack.CreateNIC(hostNIC, h.link); err != nil {
		return nil, fmt.Errorf("host %s: create interface: %v", name, err)
	}
	for _, a := range addresses {
		p := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: stackAddr(a).WithPrefix()}
		if a.Is6() {
			p.Protocol = ipv6.ProtocolNumber
		}
		if err := h.stack.AddProtocolAddress(hostNIC, p, stack.AddressProperties{}); err != nil {
			return nil, fmt.Errorf("host %s: add address %s: %v", name, a, err)
		}
	}
	h.stack.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: hostNIC},
		{Destination: header.IPv6EmptySubnet, NIC: hostNIC},
	})
	return h, nil
}

// Close ends the stack's goroutines.
func (h *Host) Close() {
	h.Output = func([]byte) {}
	h.stack.Close()
	h.stack.RemoveNIC(hostNIC)
}

func stackAddr(a netip.Addr) tcpip.Address { return tcpip.AddrFromSlice(a.AsSlice()) }

func fullAddr(a netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{Addr: stackAddr(a.Addr()), Port: a.Port()}
}

func addrPort(a tcpip.FullAddress) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(a.Addr.AsSlice())
	return netip.AddrPortFrom(addr.Unmap(), a.Port)
}

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}

// Input hands the stack an IP packet, which it does not change.
func (h *Host) Input(ip []byte) {
	if len(ip) == 0 {
		return
	}
	var proto tcpip.NetworkProtocolNumber = ipv4.ProtocolNumber
	if ip[0]>>4 == 6 {
		proto = ipv6.ProtocolNumber
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(ip)})
	h.link.InjectInbound(proto, pkt)
	pkt.DecRef()
	h.rest()
}

// Attach joins the host to a bus; everything goes to the gateway.
func (h *Host) Attach(bus *Bus, mac, gateway MAC) *Port {
	port := bus.Attach(h.Name, mac, func(frame []byte) { h.Input(frame[ethernetSize:]) })
	h.Output = func(ip []byte) { port.Send(ethernet(gateway, mac, ip)) }
	return port
}

// rest waits until the stack and the applications on it have nothing left to
// do at this instant, and sends what they made. Pausing the TCP protocol waits
// for its processor to empty its queue, and that is all that runs besides us.
func (h *Host) rest() {
	for {
		h.tcp.Pause()
		h.tcp.Resume()
		for pkt := h.link.Read(); pkt != nil; pkt = h.link.Read() {
			ip := pkt.ToView().ToSlice()
			pkt.DecRef()
			h.stamp(ip)
			h.Output(ip)
		}
		if len(h.dirty) == 0 {
			return
		}
		dirty := h.dirty
		h.dirty = nil
		for _, c := range dirty {
			c.noticed = false
			c.pump()
		}
	}
}

// stamp replaces the IPv4 identification, which netstack draws from outside
// the stack's random source, by a counter.
func (h *Host) stamp(ip []byte) {
	if ip[0]>>4 != 4 {
		return
	}
	h.ids++
	p := header.IPv4(ip)
	p.SetID(h.ids)
	p.SetChecksum(0)
	p.SetChecksum(^p.CalculateChecksum())
}
