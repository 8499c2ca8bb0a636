package packet

import "testing"

func TestRoomMovesBetweenHeadFrameAndTail(t *testing.T) {
	b := frameBuf([]byte("0123456789"))
	at := b.Addr
	for _, c := range []struct {
		what             string
		do               func() bool
		want             bool
		moved            int
		head, size, tail uint16
	}{
		{"prepend 28", func() bool { return b.Prepend(28) }, true, -28, 100, 38, 1600},
		{"prepend more than there is", func() bool { return b.Prepend(101) }, false, -28, 100, 38, 1600},
		{"prepend all", func() bool { return b.Prepend(100) }, true, -128, 0, 138, 1600},
		{"trim more than there is", func() bool { return b.Trim(139) }, false, -128, 0, 138, 1600},
		{"trim to the frame", func() bool { return b.Trim(128) }, true, 0, 128, 10, 1600},
		{"grow into the tail", func() bool { return b.Resize(1610) }, true, 0, 128, 1610, 0},
		{"grow beyond the tail", func() bool { return b.Resize(1611) }, false, 0, 128, 1610, 0},
		{"shrink", func() bool { return b.Resize(3) }, true, 0, 128, 3, 1607},
	} {
		if got := c.do(); got != c.want || int(b.Addr)-int(at) != c.moved || b.Head != c.head || b.Len != c.size || b.Tail != c.tail {
			t.Errorf("%s: %v %+v", c.what, got, b)
		}
	}
	if string(b.Bytes()) != "012" {
		t.Errorf("the frame is %q", b.Bytes())
	}
}
