package dpdk

/*
#include <stdlib.h>
#include <string.h>
#include "exchange.h"

#cgo noescape weir_exchange_run
#cgo nocallback weir_exchange_run
*/
import "C"

import (
	"errors"
	"sync/atomic"
	"unsafe"

	"weir/dataplane/packet"
)

// Sizes of an Exchange, in frames.
const (
	RxBurst   = C.WEIR_RX    // received per port and Run
	TxQueue   = C.WEIR_TX    // waiting for transmission, per port
	FreeQueue = C.WEIR_FREE  // waiting to be freed
	CacheSize = C.WEIR_CACHE // empty frames at hand
)

// NoPort marks a side that an Exchange does not receive from or transmit on.
const NoPort PortID = C.WEIR_NO_PORT

// Exchange is one thread's way to its NICs. Frames to transmit and to free
// gather in it, and one Run moves them all, and the received ones back. The
// memory is C's: nothing in it is seen, moved or scanned by the collector.
type Exchange struct {
	x  *C.struct_weir_exchange
	id uintptr
	rx *[packet.NumPorts * RxBurst]packet.Buf
	tx [packet.NumPorts]*[TxQueue]packet.Buf
	// cache points at the empty frames.
	cache *[CacheSize]packet.Buf
	// watcher looks at every frame that is moved; nil nearly always.
	watcher atomic.Pointer[Watcher]
}

// Watcher looks at frames on their way. It is called on the exchange's thread
// and must neither change nor keep them.
type Watcher interface {
	// Watch gets the frames of one burst: received, or about to be transmitted.
	Watch(sent bool, bufs []packet.Buf)
}

// SetWatcher has frames watched from the next Run on; nil ends it. Any goroutine
// may call it. A Run that has begun still ends with the watcher before.
func (e *Exchange) SetWatcher(w Watcher) {
	if w == nil {
		e.watcher.Store(nil)
		return
	}
	e.watcher.Store(&w)
}

// Ports says which DPDK port stands for a side.
type Ports [packet.NumPorts]PortID

// NewExchange makes an exchange that receives from rx and transmits on tx.
// Either may hold NoPort. With alloc it keeps empty frames at hand for Alloc.
func NewExchange(pool *Mempool, rx, tx Ports, alloc bool) (*Exchange, error) {
	size := C.size_t(unsafe.Sizeof(C.struct_weir_exchange{}))
	size = (size + 63) &^ 63
	p := C.aligned_alloc(64, size)
	if p == nil {
		return nil, errors.New("no memory for an exchange area")
	}
	C.memset(p, 0, size)
	x := (*C.struct_weir_exchange)(p)
	x.pool = C.uintptr_t(uintptr(unsafe.Pointer(pool.p)))
	for s := range packet.NumPorts {
		x.rx_port[s] = C.uint16_t(rx[s])
		x.tx_port[s] = C.uint16_t(tx[s])
	}
	if alloc {
		x.want_cache = CacheSize
	}
	e := &Exchange{
		x:     x,
		id:    uintptr(p),
		rx:    (*[packet.NumPorts * RxBurst]packet.Buf)(unsafe.Pointer(&x.rx)),
		cache: (*[CacheSize]packet.Buf)(unsafe.Pointer(&x.cache)),
	}
	for s := range packet.NumPorts {
		e.tx[s] = (*[TxQueue]packet.Buf)(unsafe.Pointer(&x.tx[s]))
	}
	return e, nil
}

// Close gives the frames still held back to the pool and the area to C.
func (e *Exchange) Close() {
	e.x.want_cache = 0
	for s := range packet.NumPorts {
		e.x.rx_port[s] = C.uint16_t(NoPort)
	}
	for e.x.n_cache > 0 {
		e.x.n_cache--
		e.Free(e.cache[e.x.n_cache].Handle)
	}
	e.Run()
	C.free(unsafe.Pointer(e.x))
	e.x = nil
}

// Run makes the one crossing: transmit, free, refill, receive. The frames it
// returns are valid until the next Run; their Buf may be changed in place.
func (e *Exchange) Run() []packet.Buf {
	w := e.watcher.Load()
	if w != nil {
		e.watchSent(*w)
	}
	C.weir_exchange_run(C.uintptr_t(e.id))
	if w != nil && e.x.n_rx > 0 {
		(*w).Watch(false, e.rx[:e.x.n_rx])
	}
	return e.rx[:e.x.n_rx]
}

// watchSent shows what the next crossing transmits.
func (e *Exchange) watchSent(w Watcher) {
	for side := range packet.NumPorts {
		if n := e.x.n_tx[side]; n > 0 {
			w.Watch(true, e.tx[side][:n])
		}
	}
}

// Transmit queues a frame for side b.Port; false when the queue is full (Flush).
func (e *Exchange) Transmit(b *packet.Buf) bool {
	n := e.x.n_tx[b.Port]
	if n == TxQueue {
		return false
	}
	e.tx[b.Port][n] = *b
	e.x.n_tx[b.Port] = n + 1
	return true
}

// Free queues a frame to be given back to the pool; false when the queue is full (Flush).
func (e *Exchange) Free(handle uintptr) bool {
	n := e.x.n_free
	if n == FreeQueue {
		return false
	}
	e.x.free[n] = C.uintptr_t(handle)
	e.x.n_free = n + 1
	return true
}

// Alloc takes an empty frame from the cache.
func (e *Exchange) Alloc() (packet.Buf, bool) {
	n := e.x.n_cache
	if n == 0 {
		return packet.Buf{}, false
	}
	e.x.n_cache = n - 1
	return e.cache[n-1], true
}

// Flush transmits and frees what waits and refills the cache, without
// receiving: for the middle of a burst, when a queue is full. What the last
// Run received stays valid.
func (e *Exchange) Flush() {
	if w := e.watcher.Load(); w != nil {
		e.watchSent(*w)
	}
	n := e.x.n_rx
	rx := e.x.rx_port
	for s := range packet.NumPorts {
		e.x.rx_port[s] = C.uint16_t(NoPort)
	}
	C.weir_exchange_run(C.uintptr_t(e.id))
	e.x.rx_port = rx
	e.x.n_rx = n
}

// Pending reports whether frames wait for the next Run.
func (e *Exchange) Pending() bool {
	return e.x.n_tx[packet.North]|e.x.n_tx[packet.South]|e.x.n_free != 0
}

// ExchangeStats counts what an exchange moved, in frames and bytes.
type ExchangeStats struct {
	RxOversize uint64
	NoBuffer   uint64
	RxBytes    [packet.NumPorts]uint64
	TxFrames   [packet.NumPorts]uint64
	TxBytes    [packet.NumPorts]uint64
	TxFull     [packet.NumPorts]uint64
}

// Stats reads the counters; any goroutine may call it.
func (e *Exchange) Stats() (s ExchangeStats) {
	load := func(p *C.uint64_t) uint64 { return atomic.LoadUint64((*uint64)(p)) }
	s.RxOversize, s.NoBuffer = load(&e.x.rx_oversize), load(&e.x.no_buffer)
	for i := range packet.NumPorts {
		s.RxBytes[i], s.TxBytes[i] = load(&e.x.rx_bytes[i]), load(&e.x.tx_bytes[i])
		s.TxFrames[i], s.TxFull[i] = load(&e.x.tx_frames[i]), load(&e.x.tx_full[i])
	}
	return s
}

// bufLayout is the size of C's weir_buf and the offsets of its fields, in
// packet.Buf's order, so that a test can compare the two.
func bufLayout() [8]uintptr {
	var b C.struct_weir_buf
	return [...]uintptr{unsafe.Sizeof(b), unsafe.Offsetof(b.addr), unsafe.Offsetof(b.handle), unsafe.Offsetof(b.len),
		unsafe.Offsetof(b.head), unsafe.Offsetof(b.tail), unsafe.Offsetof(b.port), unsafe.Offsetof(b.verdict)}
}
