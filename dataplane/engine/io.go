package engine

import (
	"weir/dataplane/dpdk"
	"weir/dataplane/exception"
	"weir/dataplane/packet"
)

// IO is a thread's outlet: where frames go after a stage has judged them, and
// how a stage gets frames of its own. In a single layout they go straight to
// the NICs, in a pipeline through rings. It belongs to one thread.
type IO struct {
	x      *dpdk.Exchange
	taps   [packet.NumPorts]*exception.Interface // of the thread that writes to the kernel
	kernel *outlet                               // of every other
	out    [packet.NumPorts]*outlet              // nil: the NIC is this thread's own
	hands  []*outlet                             // of the slow worker's thread in a pipeline: to each fast worker
	inside []packet.Buf                          // in a single layout: handed over, not yet taken
	counts *Counters
}

// outlet gathers a burst for a ring.
type outlet struct {
	ring *Ring
	wake *waker
	n    int
	bufs [Burst]packet.Buf
}

// Alloc gives an empty frame; false when the pool is empty.
func (o *IO) Alloc() (packet.Buf, bool) {
	b, ok := o.x.Alloc()
	if !ok {
		// A burst that needs more frames than the cache holds refills it here.
		o.x.Flush()
		b, ok = o.x.Alloc()
	}
	return b, ok
}

// Send transmits a frame on its port, after what was sent before.
func (o *IO) Send(b packet.Buf) { o.send(&b) }

// Free gives a frame back.
func (o *IO) Free(b packet.Buf) { o.free(&b) }

// Hand gives a frame to a fast worker, which gets it with Port Inside. Only the
// slow worker's outlet can.
func (o *IO) Hand(worker int, b packet.Buf) {
	b.Port, b.Verdict = packet.Inside, packet.Drop
	switch {
	case o.hands != nil:
		o.put(o.hands[worker], &b)
	case len(o.inside) < cap(o.inside):
		o.inside = append(o.inside, b)
	default:
		o.counts.add(RingFull, 1)
		o.free(&b)
	}
}

func (o *IO) send(b *packet.Buf) {
	if out := o.out[b.Port]; out != nil {
		o.put(out, b)
		return
	}
	if !o.x.Transmit(b) {
		o.x.Flush()
		o.x.Transmit(b)
	}
}

func (o *IO) free(b *packet.Buf) {
	if !o.x.Free(b.Handle) {
		o.x.Flush()
		o.x.Free(b.Handle)
	}
}

// put adds a frame to an outlet, and empties the outlet when it is full.
func (o *IO) put(out *outlet, b *packet.Buf) {
	out.bufs[out.n] = *b
	out.n++
	if out.n == len(out.bufs) {
		o.push(out)
	}
}

// push hands an outlet's burst to its ring. What finds no room is dropped and
// counted: the other side does not keep up, and waiting for it would only move
// the loss to where it has no name.
func (o *IO) push(out *outlet) {
	if out == nil || out.n == 0 {
		return
	}
	done := out.ring.Push(out.bufs[:out.n])
	for i := done; i < out.n; i++ {
		o.free(&out.bufs[i])
	}
	if lost := out.n - done; lost > 0 {
		o.counts.add(RingFull, uint64(lost))
	}
	out.n = 0
	out.wake.Wake()
}

// dispatch does with each frame what its verdict says.
func (o *IO) dispatch(bufs []packet.Buf) {
	for i := range bufs {
		b := &bufs[i]
		switch b.Verdict {
		case packet.Send:
			o.send(b)
		case packet.Drop:
			o.free(b)
		case packet.Kernel:
			o.toKernel(b)
		}
	}
}

// toKernel gives a frame to the exception interface of its port.
func (o *IO) toKernel(b *packet.Buf) {
	if o.kernel != nil {
		o.put(o.kernel, b)
		return
	}
	if tap := o.taps[b.Port]; tap != nil {
		tap.Write(b.Bytes())
	}
	o.free(b)
}

// flush hands over what gathered in the outlets.
func (o *IO) flush() {
	for _, out := range o.out {
		o.push(out)
	}
	for _, out := range o.hands {
		o.push(out)
	}
	o.push(o.kernel)
}

// fromKernel moves frames from the exception interfaces to their NICs,
// unchanged, and returns how many.
func (o *IO) fromKernel() int {
	moved := 0
	for side, tap := range o.taps {
		if tap == nil {
			continue
		}
		for range dpdk.RxBurst {
			frame := tap.Next()
			if frame == nil {
				break
			}
			if b, ok := o.Alloc(); ok && b.Resize(uint16(len(frame))) {
				copy(b.Bytes(), frame)
				b.Port = packet.Port(side)
				o.send(&b)
			} else if ok {
				o.free(&b)
				o.counts.add(KernelNoBuffer, 1)
			} else {
				o.counts.add(KernelNoBuffer, 1)
			}
			tap.Done()
			moved++
		}
	}
	return moved
}

// fromKernelWaits reports whether fromKernel would move something.
func (o *IO) fromKernelWaits() bool {
	for _, tap := range o.taps {
		if tap != nil && tap.Waiting() {
			return true
		}
	}
	return false
}
