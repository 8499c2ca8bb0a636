package diag

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"weir/dataplane/flow"
)

func TestADestroyedSocketIsTold(t *testing.T) {
	e, err := OpenEvents()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		want := flow.MakeKey(client.LocalAddr().(*net.TCPAddr).AddrPort(), l.Addr().(*net.TCPAddr).AddrPort(), protoTCP)
		if err := client.(*net.TCPConn).SetLinger(0); err != nil { // the client resets
			t.Fatal(err)
		}
		client.Close()
		server.Close()
		if err := e.file.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for told := false; !told; {
			if err := e.Read(func(k *flow.Key) { told = told || *k == want }); err != nil {
				t.Fatalf("%s: the end of %v is not told: %v", address, want, err)
			}
		}
	}
}

func TestClosingTheEventsEndsTheirReader(t *testing.T) {
	e, err := OpenEvents()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		for {
			if err := e.Read(func(*flow.Key) {}); errors.Is(err, os.ErrClosed) {
				ended <- err
				return
			}
		}
	}()
	e.Close()
	<-ended
}
