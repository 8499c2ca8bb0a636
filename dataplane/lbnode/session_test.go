package lbnode

import (
	"testing"

	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

func TestARecordedMessageOpensNothingASecondTime(t *testing.T) {
	c := newCluster(t, 3, 1, nil)
	m := wire.Tracker{Header: wire.Header{Type: wire.MsgSync, Sender: 1, Seq: 9000, KeyID: 1}, Key: testKey(40000, false), Server: 0}
	d := make([]byte, wire.TrackerSize)
	wire.PutTracker(d, &m, c.messageKey(&m.Header))
	send := func() {
		cfg := c.nodes[0].cfg
		target, err := packet.NewEncapTarget(cfg.Nodes[0].MAC, cfg.Nodes[1].MAC, cfg.Nodes[0].South, cfg.Nodes[1].South)
		if err != nil {
			t.Fatal(err)
		}
		b := c.newBuf()
		b.Resize(wire.TrackerSize)
		copy(b.Bytes(), d)
		packet.PrependUDP(&b, &target, 50000, wire.PortTracker)
		b.Port = packet.South
		c.nodes[0].burst(b)
		c.settle()
	}
	send()
	send()
	if taken, replayed := c.count(SyncTaken), c.count(DropReplayed); taken != 1 || replayed != 1 {
		t.Fatalf("taken %d times, %d refused as replayed", taken, replayed)
	}
	c.restart(0) // forgets what it saw; the keys of its earlier life are worthless
	send()
	if bad, taken := c.count(DropBadTag), c.count(SyncTaken); bad != 1 || taken != 0 {
		t.Errorf("after a restart of the receiver: bad tag %d, taken %d", bad, taken)
	}
	c.restart(1)
	send()
	if bad := c.count(DropBadTag); bad != 2 {
		t.Errorf("after a restart of the sender: bad tag %d", bad)
	}
}

func TestBothKeysOfARotationOpenMessages(t *testing.T) {
	keys := []wire.ControlKey{{ID: 2, Key: wire.Key{K0: 7, K1: 8}}, testSecrets.Control[0]}
	c := newCluster(t, 3, 1, nil)
	for i, n := range c.nodes { // one node seals with the new key already
		cfg := *n.cfg
		cfg.Secrets.Control = keys
		if i > 0 {
			cfg.Secrets.Control = []wire.ControlKey{keys[1], keys[0]}
		}
		if err := cfg.Prepare(); err != nil {
			t.Fatal(err)
		}
		n.cfg = &cfg
		n.w.SetConfig(&cfg)
	}
	for port := uint16(40000); port < 40010; port++ {
		c.client = nil
		c.servers[0].data = nil
		if !c.connect(testKey(port, false), int(port)%3, int(port)%3, "x") {
			t.Fatal("not connected")
		}
	}
	if n := c.count(DropBadTag); n > 0 {
		t.Errorf("%d messages were refused", n)
	}
}
