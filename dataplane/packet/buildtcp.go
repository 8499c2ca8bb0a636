package packet

import "encoding/binary"

// TCPSpec is a TCP segment to build.
type TCPSpec struct {
	IPSpec
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Window           uint16 // as it stands in the header, unscaled
	Flags            uint8
	Options          *TCPOptions // nil: none
	Payload          []byte
}

// BuildTCP writes a whole frame into dst and returns its length, or 0 when it
// does not fit into dst or into IP's length field.
func BuildTCP(dst []byte, s *TCPSpec) int {
	head := s.headSize()
	tcp := TCPSize
	if s.Options != nil {
		tcp += s.Options.Size()
	}
	n := tcp + len(s.Payload)
	if head+n > len(dst) || head+n > 0xffff {
		return 0
	}
	acc := s.put(dst, ProtoTCP, n)
	t := dst[head : head+n]
	copy(t[tcp:], s.Payload)
	binary.BigEndian.PutUint16(t, s.SrcPort)
	binary.BigEndian.PutUint16(t[2:], s.DstPort)
	binary.BigEndian.PutUint32(t[4:], s.Seq)
	binary.BigEndian.PutUint32(t[8:], s.Ack)
	t[12], t[13] = uint8(tcp/4)<<4, s.Flags
	binary.BigEndian.PutUint16(t[14:], s.Window)
	binary.BigEndian.PutUint32(t[16:], 0) // checksum, urgent pointer
	if s.Options != nil {
		s.Options.Put(t[TCPSize:])
	}
	binary.BigEndian.PutUint16(t[16:], ^Fold(Add(acc, t)))
	return head + n
}

// BuildRST writes the reset that answers the TCP segment in describes (RFC
// 9293, 3.10.7.1): with an ACK, its acknowledgement number is the sequence
// number; without, the reset acknowledges all that the segment occupies. It
// returns the frame's length, or 0 when dst is too small, when the segment is
// itself a reset, which is never answered, or is not TCP.
func BuildRST(dst []byte, in *Info, dstMAC, srcMAC [6]byte) int {
	if in.Proto != ProtoTCP || in.TCPFlags&RST != 0 || in.Payload == 0 {
		return 0
	}
	s := TCPSpec{
		IPSpec:  IPSpec{DstMAC: dstMAC, SrcMAC: srcMAC, Src: in.Dst, Dst: in.Src},
		SrcPort: in.DstPort,
		DstPort: in.SrcPort,
		Flags:   RST,
	}
	if in.TCPFlags&ACK != 0 {
		s.Seq = in.Ack
	} else {
		s.Flags |= ACK
		s.Ack = in.Seq + in.SegmentLen()
	}
	return BuildTCP(dst, &s)
}
