package dpdk

/*
#include <stdlib.h>
#include <rte_config.h>
#include <rte_mbuf.h>
#include <rte_errno.h>
#include <rte_lcore.h>

static int weir_errno(void) { return rte_errno; }
*/
import "C"

import (
	"fmt"
	"syscall"
	"unsafe"
)

// What one frame takes of the pool's memory, in bytes: the mempool's and the
// mbuf's headers, 128 bytes of head room, 2 048 of data. Without huge pages a
// frame has a page for itself, because it must not cross one.
const (
	FrameSize       = 2432
	FrameSizeNoHuge = 4096
)

// Mempool is a pool of mbufs with one data segment each.
type Mempool struct {
	p *C.struct_rte_mempool
	n int
}

// NewMempool makes a pool of n frames (n = 2^q-1 wastes no memory) on a NUMA
// node, with a cache per registered thread.
func NewMempool(name string, n, numa int) (*Mempool, error) {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	const cache = 128
	p := C.rte_pktmbuf_pool_create(c, C.uint(n), cache, 0, C.RTE_MBUF_DEFAULT_BUF_SIZE, C.int(numa))
	if p == nil {
		return nil, fmt.Errorf("make a pool of %d frames of %d bytes and more: %w", n, FrameSize, rteError())
	}
	return &Mempool{p: p, n: n}, nil
}

// Size is how many frames the pool was made with.
func (m *Mempool) Size() int { return m.n }

// Avail is how many frames are in the pool now.
func (m *Mempool) Avail() int { return int(C.rte_mempool_avail_count(m.p)) }

// Free gives the pool's memory back; every frame must have come home.
func (m *Mempool) Free() { C.rte_mempool_free(m.p) }

// rteError is the calling thread's rte_errno. Between the failed call and this
// one the goroutine must not change threads: lock it where the error matters.
func rteError() error {
	if n := C.weir_errno(); n != 0 {
		return syscall.Errno(n)
	}
	return fmt.Errorf("no reason given")
}
