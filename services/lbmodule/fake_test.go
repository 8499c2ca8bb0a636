package main

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
	"weir/qemu/netns"
	"weir/services/config"
)

// fakeNode plays a lone LB node: ingress, tracker and egress of every flow, for
// clients whose packets come from a tun interface.
type fakeNode struct {
	w       *world
	key     wire.Key
	module  wire.Peer
	tun     *os.File
	control *net.UDPConn
	data    *net.UDPConn
	lists   *net.UDPConn

	published *net.UDPConn

	mu    sync.Mutex
	flows map[flow.Key]*fakeFlow

	connections map[flow.Key][]publication // of the module, newest last

	received []wire.Tracker // from the module, newest last
	seq      uint64
	biggest  int // inner packet from the server, bytes

	// Hooks; nil means no interference.
	loseToModule   func(m *wire.Tracker) bool
	loseFromModule func(m *wire.Tracker) bool
	loseThirdACK   bool
	offer          func(m *wire.Tracker)
}

type fakeFlow struct {
	offer  wire.Tracker
	asked  bool
	mapped bool
	held   [][]byte
}

// promisedTS is what the trackers' clock shows; far from any kernel's.
const promisedTS = 0xfffffff0

func newFakeNode(w *world) *fakeNode {
	n := &fakeNode{w: w, flows: map[flow.Key]*fakeFlow{}, connections: map[flow.Key][]publication{}}
	w.must(netns.Do(nodeNS, func() (err error) {
		if n.tun, err = openTun("tun0"); err != nil {
			return err
		}
		if n.control, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 9, 0, 1), Port: wire.PortTracker}); err != nil {
			return err
		}
		if n.published, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 9, 0, 1), Port: wire.PortPublish}); err != nil {
			return err
		}
		if n.lists, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 9, 0, 1)}); err != nil {
			return err
		}
		n.data, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 9, 0, 1), Port: wire.PortData})
		if err != nil {
			return err
		}
		return noChecksum(n.data)
	}))
	w.t.Cleanup(func() { n.tun.Close(); n.control.Close(); n.data.Close(); n.lists.Close(); n.published.Close() })
	w.must(n.data.SetReadBuffer(8 << 20))
	cluster, err := config.LoadCluster(w.dir + "/cluster.yaml")
	w.must(err)
	n.key = cluster.Keys.Seals()[0].Key
	boot, err := bootID(cluster.Servers[0].ID)
	w.must(err)
	n.module = wire.Peer{Role: wire.RoleServer, Number: cluster.Servers[0].Number, Boot: boot}
	w.sh(nodeNS, `ip link set tun0 mtu 1472 up
		ip addr add 198.18.0.10/24 dev tun0; ip route add default dev tun0
		ip -6 addr add 2001:db8:18::10/64 dev tun0 nodad; ip -6 route add default dev tun0`)
	go n.fromClients()
	go n.fromServer()
	go n.fromModule()
	go n.fromPublisher()
	return n
}

func openTun(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var req struct {
		name  [unix.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(req.name[:], name)
	req.flags = unix.IFF_TUN | unix.IFF_NO_PI
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return nil, errno
	}
	return os.NewFile(uintptr(fd), name), nil
}

// noChecksum has a socket send datagrams without checksum, as LB nodes do.
func noChecksum(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1) })
	return errors.Join(err, set)
}

// asFrame puts an Ethernet header before an IP packet, for package packet.
func asFrame(ip []byte) []byte {
	f := make([]byte, packet.EthernetSize+len(ip))
	typ := uint16(packet.EtherTypeIPv4)
	if ip[0]>>4 == 6 {
		typ = packet.EtherTypeIPv6
	}
	packet.PutEthernet(f, [6]byte{}, [6]byte{}, typ)
	copy(f[packet.EthernetSize:], ip)
	return f
}

func (n *fakeNode) fromClients() {
	buf := make([]byte, 1<<16)
	for {
		k, err := n.tun.Read(buf)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err == nil && k > 0 {
			n.client(bytes.Clone(buf[:k]))
		}
	}
}

// client handles one packet of a client: ingress and tracker in one.
func (n *fakeNode) client(ip []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := asFrame(ip)
	var in packet.Info
	if packet.Parse(f, &in) != packet.OK || in.Proto != packet.ProtoTCP {
		return
	}
	var k flow.Key
	in.Key(&k)
	fl := n.flows[k]
	if in.TCPFlags&packet.SYN != 0 {
		n.syn(&k, &in, f)
		return
	}
	if fl == nil {
		return
	}
	if fl.mapped {
		n.tunnel(ip)
		return
	}
	if n.loseThirdACK && in.PayloadLen() == 0 {
		n.loseThirdACK = false
		return
	}
	fl.held = append(fl.held, ip)
	if fl.asked {
		return
	}
	fl.asked = true
	var o packet.TCPOptions
	packet.ParseTCPOptions(in.Options(f), &o)
	fl.offer.Window, fl.offer.TSecr = in.Window, o.TSecr
	n.sendOffer(fl)
}

// syn answers a SYN as trackers do.
func (n *fakeNode) syn(k *flow.Key, in *packet.Info, f []byte) {
	var o packet.TCPOptions
	packet.ParseTCPOptions(in.Options(f), &o)
	fl := &fakeFlow{offer: wire.Tracker{
		Key: *k, ClientISN: in.Seq, ServerISN: 0xffff0000 + in.Seq%4096, TSval: o.TSval,
		MSS: min(o.MSS, 1432), WScale: o.WScale, TTL: 3, Primary: 1, Secondary: 0xffff, Ingress: 1,
	}}
	if o.SACKPermitted {
		fl.offer.Options |= wire.OptSACK
	}
	if o.Timestamps {
		fl.offer.Options |= wire.OptTimestamps
	}
	n.flows[*k] = fl
	s := packet.TCPSpec{
		IPSpec:  packet.IPSpec{Src: k.VIP, Dst: k.Client},
		SrcPort: k.VIPPort, DstPort: k.ClientPort,
		Seq: fl.offer.ServerISN, Ack: in.Seq + 1, Window: 32768, Flags: packet.SYN | packet.ACK,
		Options: &packet.TCPOptions{MSS: 1432, WScale: 7, SACKPermitted: o.SACKPermitted, Timestamps: o.Timestamps, TSval: promisedTS, TSecr: o.TSval},
	}
	if o.WScale == packet.NoWScale {
		s.Options.WScale = packet.NoWScale
	}
	var b [128]byte
	m := packet.BuildTCP(b[:], &s)
	_, _ = n.tun.Write(b[packet.EthernetSize:m])
}

func (n *fakeNode) sendOffer(fl *fakeFlow) {
	m := fl.offer
	if n.offer != nil {
		n.offer(&m)
		fl.offer = m
	}
	n.send(wire.MsgOffer, &m)
}

// fakePeer is the fake node in its only life.
var fakePeer = wire.Peer{Role: wire.RoleNode, Number: 1, Boot: 77}

// introduce tells the module of the node's boot id, as a checker does: with the
// nonce that the module gives. A new agent has to be told again.
func (n *fakeNode) introduce() {
	n.w.t.Helper()
	l := wire.NodeList{Header: wire.Header{Type: wire.MsgNodeList, Role: wire.RoleNode, Sender: 1, KeyID: 1}, Version: 1, Parts: 1,
		Nodes: []wire.ListedNode{{Number: 1, Boot: fakePeer.Boot, Flags: wire.ListedHealthy | wire.ListedIngress | wire.ListedTracker | wire.ListedEgress}}}
	n.w.eventually("the module takes a node list", func() bool {
		var b [wire.PingSize + 12]byte
		size := wire.PutNodeList(b[:], &l, n.key)
		_, err := n.lists.WriteToUDPAddrPort(b[:size], netip.AddrPortFrom(netip.MustParseAddr(serverAddr), wire.PortPing))
		n.w.must(err, n.lists.SetReadDeadline(time.Now().Add(time.Second)))
		k, err := n.lists.Read(b[:])
		var h wire.Header
		var a wire.NodeListAck
		if err != nil || wire.Open(b[:k], &h, n.key) != nil || wire.GetNodeListAck(b[:k], &h, &a) != nil || h.Boot != n.module.Boot {
			return false
		}
		l.Nonce = a.Nonce
		return a.Version == l.Version
	})
}

// fromPublisher reads the module's publications.
func (n *fakeNode) fromPublisher() {
	buf := make([]byte, 2048)
	for {
		k, _, err := n.published.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		var h wire.Header
		if err != nil || wire.Open(buf[:k], &h, wire.PairKey(n.key, n.module, fakePeer)) != nil {
			continue
		}
		r, err := wire.ReadPublications(buf[:k])
		if err != nil {
			continue
		}
		n.mu.Lock()
		var p wire.Publication
		for r.Next(&p) {
			n.connections[p.Key] = append(n.connections[p.Key], publication{p, time.Now()})
		}
		n.mu.Unlock()
	}
}

// publication is one with the time when it came.
type publication struct {
	wire.Publication
	at time.Time
}

// send sends a tracker message to the module and reports whether it was not lost.
func (n *fakeNode) send(typ uint8, m *wire.Tracker) bool {
	n.seq++
	m.Header = wire.Header{Type: typ, Role: wire.RoleNode, Sender: 1, Boot: 77, Seq: n.seq, KeyID: 1}
	if n.loseToModule != nil && n.loseToModule(m) {
		return false
	}
	var b [wire.TrackerSize]byte
	wire.PutTracker(b[:], m, wire.PairKey(n.key, fakePeer, n.module))
	_, err := n.control.WriteToUDPAddrPort(b[:], netip.AddrPortFrom(netip.MustParseAddr(serverAddr), wire.PortTracker))
	return err == nil
}

// tunnel sends an inner packet to the module.
func (n *fakeNode) tunnel(ip []byte) {
	_, _ = n.data.WriteToUDPAddrPort(ip, netip.AddrPortFrom(netip.MustParseAddr(serverAddr), wire.PortData))
}

func (n *fakeNode) fromModule() {
	buf := make([]byte, 2048)
	for {
		k, _, err := n.control.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		var m wire.Tracker
		if err == nil && wire.GetTracker(buf[:k], &m, wire.PairKey(n.key, n.module, fakePeer)) == nil {
			n.message(&m)
		}
	}
}

// message handles what the module says, as the secondary does.
func (n *fakeNode) message(m *wire.Tracker) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.loseFromModule != nil && n.loseFromModule(m) {
		return
	}
	n.received = append(n.received, *m)
	fl := n.flows[m.Key]
	if fl == nil || fl.offer.ClientISN != m.ClientISN {
		return
	}
	switch m.Type {
	case wire.MsgAccept:
		c := fl.offer
		if !n.send(wire.MsgCommit, &c) || fl.mapped {
			return // a client's packet would commit just as well
		}
		fl.mapped = true
		for _, ip := range fl.held {
			n.tunnel(ip)
		}
		fl.held = nil
	case wire.MsgReject:
		delete(n.flows, m.Key)
		k := &m.Key
		s := packet.TCPSpec{IPSpec: packet.IPSpec{Src: k.VIP, Dst: k.Client}, SrcPort: k.VIPPort, DstPort: k.ClientPort,
			Seq: m.ServerISN + 1, Flags: packet.RST}
		var b [128]byte
		size := packet.BuildTCP(b[:], &s)
		_, _ = n.tun.Write(b[packet.EthernetSize:size])
	}
}

// fromServer is the egress role.
func (n *fakeNode) fromServer() {
	buf := make([]byte, 1<<16)
	for {
		k, _, err := n.data.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || k < 20 {
			continue
		}
		n.mu.Lock()
		n.biggest = max(n.biggest, k)
		n.mu.Unlock()
		_, _ = n.tun.Write(buf[:k])
	}
}

// last is the newest message of a type from the module.
func (n *fakeNode) last(typ uint8) (wire.Tracker, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := len(n.received) - 1; i >= 0; i-- {
		if n.received[i].Type == typ {
			return n.received[i], true
		}
	}
	return wire.Tracker{}, false
}
