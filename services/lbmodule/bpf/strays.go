package bpf

import (
	"fmt"

	"github.com/cilium/ebpf/ringbuf"
)

// Strays reads the reports of packets whose flow is not here: struct
// weir_stray, one per record.
func (d *Data) Strays() (*ringbuf.Reader, error) {
	r, err := ringbuf.NewReader(d.objs.WeirStrays)
	if err != nil {
		return nil, fmt.Errorf("read the data path's reports: %w", err)
	}
	return r, nil
}
