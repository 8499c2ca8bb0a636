package main

import (
	"io"
	"net"
	"testing"
)

func TestAConnectionPassesThroughTheKernel(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.listen(func(c net.Conn) { io.Copy(c, c) })
	for _, vip := range []string{vip4, vip6} {
		c := w.dial(vip)
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
			t.Fatalf("%s: %q, %v", vip, b, err)
		}
	}
}
