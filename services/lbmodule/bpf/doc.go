// Package bpf is the LB module's data path in the kernel: the eBPF programs
// (src/), their maps, and how they are loaded, attached and tested.
package bpf
