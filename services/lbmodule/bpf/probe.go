package bpf

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Arguments of bpf_skb_adjust_room as tunnel.h uses them.
const (
	roomMAC   = 1
	roomFlags = 1<<0 | 1<<1 | 1<<4 // FIXED_GSO, ENCAP_L3_IPV4, ENCAP_L4_UDP
	outerLen  = 28
)

const (
	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd
)

// protocolOffset is where struct __sk_buff has protocol.
const protocolOffset = 16

// NeedsBounce reports whether this kernel goes on taking a packet for IPv6
// after IPv4 headers were put around it, as older ones do; such a packet must
// come in anew before it can be sent. It asks the kernel by running a program.
func NeedsBounce() (bool, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "weir_probe", Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Reg(asm.R6, asm.R1),
			asm.Mov.Imm(asm.R2, outerLen),
			asm.Mov.Imm(asm.R3, roomMAC),
			asm.Mov.Imm(asm.R4, roomFlags),
			asm.FnSkbAdjustRoom.Call(),
			asm.LoadMem(asm.R0, asm.R6, protocolOffset, asm.Word),
			asm.Return(),
		},
	})
	if err != nil {
		return false, loadError(err)
	}
	defer p.Close()
	frame := make([]byte, 14+40+20)
	binary.BigEndian.PutUint16(frame[12:], typeIPv6)
	frame[14] = 6 << 4
	protocol, err := p.Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+growth)})
	if err != nil {
		return false, fmt.Errorf("run a probe in the kernel: %w", err)
	}
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], uint16(protocol))
	return binary.BigEndian.Uint16(b[:]) != typeIPv4, nil
}
