// Package flow names flows and holds what a worker knows of them: bounded,
// pointer-free tables that are allocated once (S-86).
package flow

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"
)

// KeySize is the size of a Key in memory and on the wire, in bytes.
const KeySize = 40

// Key names a flow (S-2). Both address families fit: IPv4 addresses are held
// as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2). Ports are in host order. The zero
// padding takes part in comparison and hashing and must stay zero.
type Key struct {
	Client     [16]byte
	VIP        [16]byte
	ClientPort uint16
	VIPPort    uint16
	Proto      uint8 // IP protocol number: 6 TCP, 17 UDP
	_          [3]byte
}

// MakeKey builds a key from addresses and ports.
func MakeKey(client, vip netip.AddrPort, proto uint8) Key {
	return Key{Client: client.Addr().As16(), VIP: vip.Addr().As16(), ClientPort: client.Port(), VIPPort: vip.Port(), Proto: proto}
}

// ClientAddr is the client's address and port.
func (k *Key) ClientAddr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(k.Client).Unmap(), k.ClientPort)
}

// VIPAddr is the public address and port.
func (k *Key) VIPAddr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(k.VIP).Unmap(), k.VIPPort)
}

// Is4 reports whether the flow is IPv4.
func (k *Key) Is4() bool {
	w := k.Words()
	return w[0] == 0 && uint32(w[1]) == mapped4
}

// mapped4 is the low half, in little-endian order, of the word that holds ::ffff:0:0/96's end.
const mapped4 = 0xffff0000

// SetIPv4 fills the address part from two IPv4 addresses in network order.
func (k *Key) SetIPv4(client, vip [4]byte) {
	k.Client = [16]byte{10: 0xff, 11: 0xff, 12: client[0], 13: client[1], 14: client[2], 15: client[3]}
	k.VIP = [16]byte{10: 0xff, 11: 0xff, 12: vip[0], 13: vip[1], 14: vip[2], 15: vip[3]}
}

// Words views the key as five machine words, for hashing and comparison.
func (k *Key) Words() *[5]uint64 { return (*[5]uint64)(unsafe.Pointer(k)) }

// Equal reports whether two keys are the same.
func (k *Key) Equal(o *Key) bool { return *k.Words() == *o.Words() }

// Put writes the key in wire form: client 16, vip 16, client port 2, vip port
// 2 (big-endian), protocol 1, zero 3.
func (k *Key) Put(b []byte) {
	_ = b[KeySize-1]
	copy(b[0:16], k.Client[:])
	copy(b[16:32], k.VIP[:])
	binary.BigEndian.PutUint16(b[32:], k.ClientPort)
	binary.BigEndian.PutUint16(b[34:], k.VIPPort)
	b[36], b[37], b[38], b[39] = k.Proto, 0, 0, 0
}

// Get reads the wire form; the padding is ignored.
func (k *Key) Get(b []byte) {
	_ = b[KeySize-1]
	*k = Key{ClientPort: binary.BigEndian.Uint16(b[32:]), VIPPort: binary.BigEndian.Uint16(b[34:]), Proto: b[36]}
	copy(k.Client[:], b[0:16])
	copy(k.VIP[:], b[16:32])
}

func (k Key) String() string {
	return fmt.Sprintf("%d %s>%s", k.Proto, k.ClientAddr(), k.VIPAddr())
}
