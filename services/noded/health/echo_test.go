package health

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAnEchoIsAnsweredWithItsNonce(t *testing.T) {
	here := netip.MustParseAddr("127.0.0.1")
	fd, err := openEcho(here)
	if err != nil {
		t.Fatalf("%v; this test needs root", err)
	}
	defer unix.Close(fd)
	var buf [128]byte
	const nonce = 0x0123456789abcdef
	send(fd, putEcho(buf[:], nonce), netip.AddrPortFrom(here, 0))
	got := false
	for deadline := time.Now().Add(5 * time.Second); !got && time.Now().Before(deadline); {
		drain(fd, buf[:], func(d []byte, from netip.AddrPort) {
			n, ok := getEcho(d)
			got = got || ok && n == nonce && from.Addr() == here
		})
	}
	if !got {
		t.Error("no answer")
	}
}

func TestWhatIsNoAnswerToAnEchoIsRefused(t *testing.T) {
	good := append([]byte{0x45, 19: 0}, make([]byte, echoSize)...)
	good[35] = 7
	if n, ok := getEcho(good); !ok || n != 7 {
		t.Fatalf("an answer reads as %d, %v", n, ok)
	}
	for i := range good {
		if _, ok := getEcho(good[:i]); ok {
			t.Errorf("%d bytes are taken", i)
		}
	}
	for _, c := range []struct {
		at   int
		to   byte
		what string
	}{{0, 0x65, "IPv6"}, {0, 0x44, "a header that is too short"}, {0, 0x46, "options"}, {20, 8, "a request"}, {21, 1, "a code"}} {
		d := append([]byte(nil), good...)
		d[c.at] = c.to
		if _, ok := getEcho(d); ok {
			t.Errorf("%s is taken", c.what)
		}
	}
}
