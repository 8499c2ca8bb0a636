package bpf

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package bpf -cc clang-14 -strip llvm-strip-14 -no-global-types -target bpfel -cflags "-O2 -g -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu" weir src/weir.bpf.c
