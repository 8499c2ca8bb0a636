//go:build !amd64

package flow

import "unsafe"

// prefetch is a hint only; without it the passes still let misses overlap.
func prefetch(unsafe.Pointer, *uint32, int) {}
