package engine

import (
	"testing"

	"weir/dataplane/dpdk"
	"weir/dataplane/packet"
	"weir/qemu/netns/nstest"
)

var pool *dpdk.Mempool

// TestMain runs the tests where they may make interfaces that nobody else sees,
// and starts DPDK on ordinary memory.
func TestMain(m *testing.M) { nstest.Pair(m, start) }

func start() (err error) {
	if err := dpdk.Init(dpdk.EAL{FilePrefix: "enginetest", MemoryMiB: 96, NoHuge: true, NUMA: dpdk.AnyNUMA}); err != nil {
		return err
	}
	pool, err = dpdk.NewMempool("frames", 16383, dpdk.AnyNUMA)
	return err
}

// steer sends everything to one place.
type steer int8

func (s steer) Steer(bufs []packet.Buf, to []int8) {
	for i := range bufs {
		to[i] = int8(s)
	}
}

// stageFunc is a stage without timers.
type stageFunc func(b *packet.Buf)

func (f stageFunc) Burst(_ int64, bufs []packet.Buf) {
	for i := range bufs {
		f(&bufs[i])
	}
}

func (f stageFunc) Tick(int64) int64 { return never }

var drop stageFunc = func(b *packet.Buf) { b.Verdict = packet.Drop }
