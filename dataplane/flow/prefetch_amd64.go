package flow

import "unsafe"

// prefetch asks for n cache lines of 64 bytes, numbered from base; n > 0.
//
//go:noescape
func prefetch(base unsafe.Pointer, lines *uint32, n int)
