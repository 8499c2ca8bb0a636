//go:build amd64.v3

#include "textflag.h"

// Both buckets of a hash, as Table.first and Table.second have them.
// in: DX hash, R8 number of buckets; out: R9 first, R10 second.
#define BUCKETS \
	MOVQ  DX, R9  \
	SHRQ  $32, R9 \
	IMULQ R8, R9  \
	SHRQ  $32, R9 \
	MOVQ  DX, R10 \
	SHRQ  $16, R10 \
	MOVL  R10, R10 \
	IMULQ R8, R10 \
	SHRQ  $32, R10

// func fetchTags(buckets *bucket, nb uint64, hashes *uint64, n int)
TEXT ·fetchTags(SB), NOSPLIT, $0-32
	MOVQ buckets+0(FP), AX
	MOVQ nb+8(FP), R8
	MOVQ hashes+16(FP), SI
	MOVQ n+24(FP), CX
next:
	MOVQ (SI), DX
	BUCKETS
	SHLQ $5, R9
	SHLQ $5, R10
	PREFETCHT0 (AX)(R9*1)
	PREFETCHT0 (AX)(R10*1)
	ADDQ $8, SI
	DECQ CX
	JNZ  next
	RET

// func matchTags(buckets *bucket, entries *Entry, nb uint64, hashes *uint64, out *uint32, n int)
TEXT ·matchTags(SB), NOSPLIT, $0-48
	MOVQ buckets+0(FP), AX
	MOVQ entries+8(FP), BX
	MOVQ nb+16(FP), R8
	MOVQ hashes+24(FP), SI
	MOVQ out+32(FP), DI
	MOVQ n+40(FP), CX
next:
	MOVQ    (SI), DX
	BUCKETS
	MOVWLZX DX, DX
	CMPL    DX, $1   // tag 0 means empty: it becomes 1
	ADCL    $0, DX
	VMOVD   DX, X0
	VPBROADCASTW X0, Y0
	MOVQ    R9, R11
	MOVQ    R10, R12
	SHLQ    $5, R11
	SHLQ    $5, R12
	VPCMPEQW  (AX)(R11*1), Y0, Y1
	VPCMPEQW  (AX)(R12*1), Y0, Y2
	// One byte per slot: first 0-7, second 0-7, first 8-15, second 8-15.
	VPACKSSWB Y2, Y1, Y1
	VPMOVMSKB Y1, DX
	TZCNTL  DX, DX   // 32 if nothing matched, which comes out as slot 0
	BTL     $3, DX
	CMOVLCS R10, R9
	MOVL    DX, R11
	ANDL    $7, DX
	SHRL    $1, R11
	ANDL    $8, R11
	ORL     R11, DX
	SHLL    $4, R9
	ADDL    DX, R9
	MOVL    R9, (DI)
	SHLQ    $6, R9
	PREFETCHT0 (BX)(R9*1)
	ADDQ $8, SI
	ADDQ $4, DI
	DECQ CX
	JNZ  next
	VZEROUPPER
	RET
